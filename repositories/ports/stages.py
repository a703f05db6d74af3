"""The table stages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from core.models import Stage, StageCounts, StageKey
from core.statuses import StageStatus


class StageRepository(Protocol):
    """The table `stages`."""

    def create(self, key: StageKey, name: str, max_failed_fraction: float) -> bool:
        """Inserts a dispatching stage; False when it exists already."""
        ...

    def get(self, key: StageKey) -> Stage | None:
        """The stage, or None."""
        ...

    def of_job(self, job_id: str) -> list[Stage]:
        """The job's stages in order."""
        ...

    def counts(self, key: StageKey) -> StageCounts:
        """The stage's tasks by status, counted from its batches."""
        ...

    def acquire_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        """Takes the right to dispatch a dispatching stage; False when another holds it."""
        ...

    def renew_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        """Keeps that right; False when it was taken over, or taken away with the stage's stop."""
        ...

    def dispatch_lease_expires_at(self, key: StageKey) -> datetime | None:
        """When the dispatch lease of a dispatching stage ends; None when nobody holds one."""
        ...

    def release_dispatch_lease(self, key: StageKey, lease_id: str) -> None:
        """Gives the right to dispatch back, if it is still held."""
        ...

    def finish_dispatch(self, key: StageKey, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        """Moves dispatching -> running with final totals; False when the lease is lost."""
        ...

    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageKey]:
        """Adds the counts of batches that have just finished; returns the stages they belong to."""
        ...

    def finish_if_complete(self, key: StageKey) -> bool:
        """Moves running -> finished, or failed past `max_failed_fraction`, when every batch has finished.

        Moves dispatching or running -> failed before that, as soon as it is certain that too many tasks failed.
        """
        ...

    def record_result(self, key: StageKey, result: str) -> None:
        """Stores the stage's aggregated result, JSON text."""
        ...

    def stop(self, key: StageKey, status: StageStatus) -> bool:
        """Moves dispatching or running -> failed or cancelled; False when it had ended."""
        ...

    def reopen(self, key: StageKey, *, failed_too: bool) -> bool:
        """Moves a stage that has ended -> dispatching; its batches follow by `StopRepository.reopen_batches`."""
        ...

    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageKey]:
        """Those of the stages that have ended while their processing job still stands at them."""
        ...
