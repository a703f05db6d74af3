"""The turn of one job in a bulk action: it counts in the transaction that changes it."""

from core.bulk_actions import BulkAction
from core.errors import SliceEnded
from core.job_listing import JobPlace
from core.models import Job
from repositories.ports import UnitOfWork

LEASE_SECONDS = 60.0
"""Of an action, from each job that counts."""


class BulkTurn:
    """The turn of a job in a bulk action.

    Attributes:
        action: the action.
        lease_id: of the host that carries it out.
        place: of the job.
        is_counted: whether the last transaction in which the job was meant has counted it.
    """

    def __init__(self, action: BulkAction, lease_id: str, place: JobPlace) -> None:
        self.action = action
        self.lease_id = lease_id
        self.place = place
        self.is_counted = False

    def is_meant(self, job: Job) -> bool:
        """Whether the job, as it is now, is one of those that were asked for."""
        self.is_counted = False  # the transaction may be a repetition
        return self.action.covers(job)

    def count(self, work: UnitOfWork, reason: str | None = None) -> None:
        """Stores that the job has had its turn, and why nothing could be done, if so.

        Raises:
            SliceEnded: another host has taken the action over.
        """
        if not work.bulk_actions.record(self.action.action_id, self.lease_id, self.place, reason, LEASE_SECONDS):
            raise SliceEnded(f"bulk action {self.action.action_id} was taken over")
        self.is_counted = True
