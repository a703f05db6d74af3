"""The port of the sweeper."""

from typing import Protocol

from core.lanes import Lane
from core.models import LostTask, SilentBatches, StageKey
from core.statuses import JobStatus


class SweepRepository(Protocol):
    """Finds jobs, stages, batches and tasks whose message a crash or the broker has lost; works on all tables.

    Every method finds up to `limit` rows that have been in their state for `age_seconds`, and restarts their time, so a
    row is not found again before the same time has passed. Rows that another transaction holds are skipped.
    """

    def unstarted_jobs(self, status: JobStatus, age_seconds: float, limit: int) -> list[str]:
        """Jobs, pending_queue or queued, whose first message was sent so long ago, or never."""
        ...

    def pending_batches(self, age_seconds: float, limit: int) -> list[tuple[str, Lane]]:
        """Pending_queue batches of stages without a live dispatch lease; does not restart their time."""
        ...

    def overdue_retries(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Tasks whose retry has been due for so long."""
        ...

    def expired_leases(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Tasks whose lease ended so long ago; takes them from their holder and moves them -> retrying."""
        ...

    def interrupted_dispatches(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Dispatching stages that no dispatcher has worked on for so long."""
        ...

    def unadvanced_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that ended so long ago and are still the current stage of their job."""
        ...

    def stopped_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that were stopped so long ago, with tasks that have not ended."""
        ...

    def silent_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Running stages in which nothing has happened for so long, or whose resending has begun; see sweeps.sql."""
        ...

    def silent_batches(self, key: StageKey, age_seconds: float, limit: int) -> SilentBatches:
        """The batches of a silent stage that are due for a resend, with their waiting tasks. None due ends the silence.

        A batch is due after `age_seconds`, and after twice as long with each further send.
        """
        ...
