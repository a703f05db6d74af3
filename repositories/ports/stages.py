"""The port of the table stages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from core.checkpoints import Checkpoint, Fold
from core.models import (
    MOST_COUNTED_TASKS,
    Job,
    Stage,
    StageCounts,
    StageKey,
    StageOpening,
    StageProgress,
)
from core.statuses import StageStatus


class StageRepository(Protocol):
    """The table `stages`."""

    def create(self, key: StageKey, name: str, max_failed_fraction: float) -> bool:
        """Inserts a dispatching stage; False when it exists already."""
        ...

    def start_job(
        self, key: StageKey, name: str, max_failed_fraction: float, lease_id: str, lease_seconds: float
    ) -> Stage | None:
        """Moves a job pending_queue or queued -> processing, and creates its first stage with a dispatch lease.

        Returns:
            The stage; None when the job is in another status, and nothing is changed.
        """
        ...

    def with_job(self, key: StageKey) -> tuple[Job, Stage | None] | None:
        """Returns the stage's job, and the stage, if it has begun; None when there is no such job."""
        ...

    def get(self, key: StageKey) -> Stage | None:
        """Returns the stage, or None."""
        ...

    def of_job(self, job_id: str) -> list[Stage]:
        """Returns the job's stages in order, without their results: each is None."""
        ...

    def results_of_job(self, job_id: str, after_stage: int = 0, max_bytes: int | None = None) -> dict[int, Any]:
        """Returns the results of the job's stages by number, in order; None for a stage that has none yet.

        Args:
            job_id: the job.
            after_stage: the number of the stage after which they begin.
            max_bytes: the most bytes of results as JSON; the first one may have more. None for no limit.
        """
        ...

    def counts(self, key: StageKey, most_tasks: int = MOST_COUNTED_TASKS) -> StageCounts:
        """Returns the numbers of the stage's tasks by status, counted from its batches.

        If its unfinished batches have more than `most_tasks`, the numbers of tasks that run or wait for a retry are
        estimates: see `StageCounts`.
        """
        ...

    def acquire_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        """Takes the dispatch lease of a dispatching stage; False when another dispatcher holds it."""
        ...

    def renew_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        """Extends the dispatch lease; False when another dispatcher took it over, or the stage was stopped."""
        ...

    def dispatch_lease_expires_at(self, key: StageKey) -> datetime | None:
        """Returns when the dispatch lease of a dispatching stage expires; None when no dispatcher holds it."""
        ...

    def release_dispatch_lease(self, key: StageKey, lease_id: str) -> None:
        """Releases the dispatch lease, if it is still held."""
        ...

    def record_checkpoint(self, key: StageKey, lease_id: str, checkpoint: Checkpoint) -> bool:
        """Stores a checkpoint of the dispatch; False when the lease is lost, or a later checkpoint is stored."""
        ...

    def record_idle_slices(self, key: StageKey, lease_id: str, idle_slices: int) -> bool:
        """Stores how many slices in a row were over before they queued anything; False when the lease is lost."""
        ...

    def wait_for_room(self, key: StageKey, lease_id: str, low: int) -> bool:
        """Releases the dispatch lease until about `low` tasks are out: tasks of batches that have not ended.

        Returns:
            False, and changes nothing, when no more than `low` tasks are out already, or the lease is lost.
        """
        ...

    def waiting_with_room(self, keys: Sequence[StageKey]) -> list[StageOpening]:
        """Returns those of the given stages whose dispatch waited for room until so many batches had ended."""
        ...

    def finish_dispatch(self, key: StageKey, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        """Moves dispatching -> running with final totals; False when the lease is lost."""
        ...

    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageProgress]:
        """Adds the counts of batches that have just ended to their stages; returns these stages."""
        ...

    def finish_if_complete(self, key: StageKey) -> bool:
        """Moves running -> finished when every batch has ended, or -> failed when too many tasks have failed.

        "Too many" means more than `max_failed_fraction` of the tasks. The stage fails as soon as this is certain, even
        while it is dispatching.
        """
        ...

    def record_result(self, key: StageKey, result: str) -> None:
        """Stores the stage's aggregated result, JSON text."""
        ...

    def fold(self, key: StageKey) -> Fold:
        """Returns how far the stage's results are folded."""
        ...

    def record_fold(self, stage: Stage, tasks_before: int, tasks: int, state: str) -> bool:
        """Stores how far the results of a finished stage are folded, and their state, JSON text.

        Returns:
            False when another host has gone on from `tasks_before`, or the stage was reopened.
        """
        ...

    def stop(self, key: StageKey, status: StageStatus) -> bool:
        """Moves dispatching or running -> failed or cancelled; False when the stage had ended already."""
        ...

    def reopen(self, key: StageKey, *, failed_too: bool) -> bool:
        """Moves an ended stage -> dispatching; `StopRepository.reopen_batches` then reopens its batches."""
        ...

    def count_opening(self, key: StageKey) -> bool:
        """Counts one more opening of a finished stage, which stays finished; False when it is in another status."""
        ...

    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageOpening]:
        """Returns the given stages that have ended and are still the current stage of a processing job."""
        ...
