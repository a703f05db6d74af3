from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.models import Stage, StageCounts, StageKey
from core.statuses import StageStatus
from repositories import queries
from repositories.rows import Row, Rows

_QUERIES = queries.load("stages")


class PostgresStageRepository:
    """The table `stages`; see `StageRepository` in `repositories/ports/`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def create(self, job_id: str, stage: int, name: str, max_failed_fraction: float) -> bool:
        """Inserts a dispatching stage; False when it exists already."""
        return self._changed("create", job_id, stage, name=name, max_failed_fraction=max_failed_fraction)

    def get(self, job_id: str, stage: int) -> Stage | None:
        """The stage, or None."""
        row = self._rows.first(_QUERIES["get"], {"job_id": job_id, "stage": stage})
        return None if row is None else _stage(row)

    def of_job(self, job_id: str) -> list[Stage]:
        """The job's stages in order."""
        return [_stage(row) for row in self._rows.all(_QUERIES["of_job"], {"job_id": job_id})]

    def counts(self, job_id: str, stage: int) -> StageCounts:
        """The stage's tasks by status."""
        row = self._rows.one(_QUERIES["counts"], {"job_id": job_id, "stage": stage})
        return StageCounts(**{name: int(count) for name, count in row.items()})

    def acquire_dispatch_lease(self, job_id: str, stage: int, lease_id: str, lease_seconds: float) -> bool:
        """Takes the right to dispatch."""
        return self._changed("acquire_dispatch_lease", job_id, stage, lease_id=lease_id, lease_seconds=lease_seconds)

    def renew_dispatch_lease(self, job_id: str, stage: int, lease_id: str, lease_seconds: float) -> bool:
        """Keeps the right to dispatch."""
        return self._changed("renew_dispatch_lease", job_id, stage, lease_id=lease_id, lease_seconds=lease_seconds)

    def dispatch_lease_expires_at(self, job_id: str, stage: int) -> datetime | None:
        """When the dispatch lease ends; None when nobody holds one."""
        row = self._rows.first(_QUERIES["dispatch_lease_expires_at"], {"job_id": job_id, "stage": stage})
        return None if row is None else row["dispatch_lease_expires_at"]

    def release_dispatch_lease(self, job_id: str, stage: int, lease_id: str) -> None:
        """Gives the right to dispatch back."""
        self._changed("release_dispatch_lease", job_id, stage, lease_id=lease_id)

    def finish_dispatch(self, job_id: str, stage: int, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        """Moves dispatching -> running with final totals."""
        return self._changed(
            "finish_dispatch", job_id, stage, lease_id=lease_id, total_tasks=total_tasks, total_batches=total_batches
        )

    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageKey]:
        """Adds the counts of batches that have just finished."""
        rows = self._rows.all(_QUERIES["add_finished_batches"], {"batch_ids": list(batch_ids)})
        return sorted((StageKey(**row) for row in rows), key=lambda key: (key.job_id, key.stage))

    def finish_if_complete(self, job_id: str, stage: int) -> bool:
        """Ends a stage when every batch has finished, or too many tasks have failed."""
        return self._changed("finish_if_complete", job_id, stage)

    def record_result(self, job_id: str, stage: int, result: str) -> None:
        """Stores the stage's aggregated result."""
        self._changed("record_result", job_id, stage, result=result)

    def stop(self, job_id: str, stage: int, status: StageStatus) -> bool:
        """Moves dispatching or running -> failed or cancelled."""
        return self._changed("stop", job_id, stage, status=status)

    def reopen(self, job_id: str, stage: int, *, failed_too: bool) -> bool:
        """Moves a stage that has ended -> dispatching."""
        return self._changed("reopen", job_id, stage, failed_too=failed_too)

    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageKey]:
        """Those of the stages that have ended while their job still stands at them."""
        values = {"job_ids": [key.job_id for key in keys], "stages": [key.stage for key in keys]}
        return [StageKey(**row) for row in self._rows.all(_QUERIES["ended_but_not_advanced"], values)]

    def _changed(self, query: str, job_id: str, stage: int, **values: Any) -> bool:
        return self._rows.execute(_QUERIES[query], {"job_id": job_id, "stage": stage, **values}) == 1


def _stage(row: Row) -> Stage:
    return Stage(**{**row, "status": StageStatus(row["status"])})
