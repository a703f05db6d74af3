"""What a crash has left behind."""

from typing import Protocol

from core.lanes import Lane
from core.models import LostTask, SilentBatches, StageKey
from core.statuses import JobStatus


class SweepRepository(Protocol):
    """What a crash, or a broker that lost messages, has left behind, over all tables.

    Every method finds up to `limit` rows that have been in their state for `age_seconds`, and touches them: none is
    found again before as long a time has passed. Rows that another transaction holds are passed over.
    """

    def unstarted_jobs(self, status: JobStatus, age_seconds: float, limit: int) -> list[str]:
        """Jobs, pending_queue or queued, whose first message was sent so long ago, or never."""
        ...

    def pending_batches(self, age_seconds: float, limit: int) -> list[tuple[str, Lane]]:
        """Batches with rows and perhaps without messages, which no dispatcher is at; these are not touched."""
        ...

    def overdue_retries(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Tasks whose retry has been due so long; its time begins anew."""
        ...

    def expired_leases(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Tasks whose lease ended so long ago; they leave their holder and wait for a new message as retrying."""
        ...

    def interrupted_dispatches(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that nobody has dispatched for so long, though they are not fully dispatched."""
        ...

    def unadvanced_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that ended so long ago while their job still stands at them."""
        ...

    def stopped_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that failed or were cancelled so long ago, with tasks that have not ended."""
        ...

    def silent_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Running stages in which nothing has happened for so long, or which are being sent again; see sweeps.sql."""
        ...

    def silent_batches(self, key: StageKey, age_seconds: float, limit: int) -> SilentBatches:
        """The waiting tasks of a silent stage's batches that are still to be sent again; none ends the silence.

        A batch is due after `age_seconds`, and twice as long each time that it was sent.
        """
        ...
