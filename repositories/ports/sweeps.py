"""The port of the sweeper."""

from typing import Protocol

from core.models import LostTask, OverdueBatch, SilentBatches, StageKey, StageOpening
from core.statuses import JobStatus


class SweepRepository(Protocol):
    """Finds jobs, stages, batches and tasks whose messages were lost by a crash or by the broker; works on all tables.

    Every method finds up to `limit` rows that have been in their state for `age_seconds`, and restarts their time: a
    row is found again only after the same time has passed. Rows that another transaction has locked are skipped.
    """

    def unstarted_jobs(self, status: JobStatus, age_seconds: float, limit: int) -> list[str]:
        """Finds pending_queue or queued jobs whose first message was sent `age_seconds` ago, or never."""
        ...

    def pending_batches(self, age_seconds: float, limit: int) -> list[OverdueBatch]:
        """Finds pending_queue batches of stages without a live dispatch lease; does not restart their time."""
        ...

    def overdue_retries(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Finds tasks whose retry has been due for `age_seconds`."""
        ...

    def expired_leases(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Finds tasks whose lease expired `age_seconds` ago; ends these leases and moves the tasks -> retrying."""
        ...

    def interrupted_dispatches(self, age_seconds: float, limit: int) -> list[StageOpening]:
        """Finds dispatching stages that do not wait for room, and that no dispatcher has had for `age_seconds`."""
        ...

    def stages_with_room(self, low: int, age_seconds: float, limit: int) -> list[StageOpening]:
        """Finds stages whose dispatch has waited for room for `age_seconds`, and has it now.

        A stage has room when so many batches have ended as it waits for, or when no more than `low` tasks are out. Then
        it counts as having waited long enough.
        """
        ...

    def unadvanced_stages(self, age_seconds: float, limit: int) -> list[StageOpening]:
        """Finds stages that ended `age_seconds` ago and are still the current stage of their job."""
        ...

    def stopped_stages(self, age_seconds: float, limit: int) -> list[StageOpening]:
        """Finds stages that were stopped `age_seconds` ago and have tasks that have not ended."""
        ...

    def silent_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Finds stages that are silent for `age_seconds`, or whose resending has begun; see sweeps.sql."""
        ...

    def silent_batches(self, key: StageKey, age_seconds: float, limit: int) -> SilentBatches:
        """Finds the batches of a silent stage that are due for a resend, with their waiting tasks.

        A batch is due after `age_seconds`, and after twice as long with each further send. When no batch is due, the
        stage is no longer silent.
        """
        ...
