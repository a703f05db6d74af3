"""The port of the table bulk_actions."""

from typing import Protocol

from core.bulk_actions import BulkAction, BulkKind
from core.job_listing import JobFilter, JobPlace
from core.pages import Page


class BulkActionRepository(Protocol):
    """Bulk actions: which jobs they are about, and how far they have come."""

    def count(self, where: JobFilter) -> int:
        """Returns how many jobs there are; `where` has statuses."""
        ...

    def create(self, action_id: str, kind: BulkKind, where: JobFilter) -> None:
        """Inserts an action on the jobs that exist now."""
        ...

    def get(self, action_id: str) -> BulkAction | None:
        """Returns the action, or None."""
        ...

    def newest(self, after: str | None, limit: int) -> Page[BulkAction]:
        """Returns up to `limit` actions, the newest first, without their failures.

        Args:
            after: the id of the last action that is known; None for the beginning.
            limit: the most actions.
        """
        ...

    def take(self, lease_id: str, lease_seconds: float, action_id: str | None = None) -> BulkAction | None:
        """Takes the lease of an unfinished action that no other host carries out; None if there is none.

        Args:
            lease_id: the new lease.
            lease_seconds: how long it lasts unless it is renewed.
            action_id: the action; None for the oldest.
        """
        ...

    def renew(self, action_id: str, lease_id: str, lease_seconds: float) -> bool:
        """Extends the lease; False when another host has taken it."""
        ...

    def record(self, action_id: str, lease_id: str, place: JobPlace, reason: str | None, lease_seconds: float) -> bool:
        """Stores that a job was handled, and why it could not be; False when the lease is lost."""
        ...

    def finish(self, action_id: str, lease_id: str) -> bool:
        """Ends the action; False when the lease is lost."""
        ...

    def release(self, action_id: str, lease_id: str) -> None:
        """Releases the lease, if it is still held."""
        ...

    def mark_for_deletion(self, job_id: str, age_seconds: float) -> bool:
        """Marks a job that ended so long ago and whose rows nothing needs any more, so that it cannot be reopened.

        Returns:
            False when it is not such a job.
        """
        ...
