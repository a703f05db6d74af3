from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.models import Stage, StageCounts, StageKey
from core.statuses import StageStatus
from repositories import queries
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import arrays, columns, key_of

_QUERIES = queries.load("stages")


class PostgresStageRepository:
    """The table `stages`; see `StageRepository` in `repositories/ports/`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def create(self, key: StageKey, name: str, max_failed_fraction: float) -> bool:
        """Inserts a dispatching stage; False when it exists already."""
        return self._changed("create", key, name=name, max_failed_fraction=max_failed_fraction)

    def get(self, key: StageKey) -> Stage | None:
        """The stage, or None."""
        row = self._rows.first(_QUERIES["get"], columns(key))
        return None if row is None else _stage(row)

    def of_job(self, job_id: str) -> list[Stage]:
        """The job's stages in order."""
        return [_stage(row) for row in self._rows.all(_QUERIES["of_job"], {"job_id": job_id})]

    def counts(self, key: StageKey) -> StageCounts:
        """The stage's tasks by status."""
        row = self._rows.one(_QUERIES["counts"], columns(key))
        return StageCounts(**{name: int(count) for name, count in row.items()})

    def acquire_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        """Takes the right to dispatch."""
        return self._changed("acquire_dispatch_lease", key, lease_id=lease_id, lease_seconds=lease_seconds)

    def renew_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        """Keeps the right to dispatch."""
        return self._changed("renew_dispatch_lease", key, lease_id=lease_id, lease_seconds=lease_seconds)

    def dispatch_lease_expires_at(self, key: StageKey) -> datetime | None:
        """When the dispatch lease ends; None when nobody holds one."""
        row = self._rows.first(_QUERIES["dispatch_lease_expires_at"], columns(key))
        return None if row is None else row["dispatch_lease_expires_at"]

    def release_dispatch_lease(self, key: StageKey, lease_id: str) -> None:
        """Gives the right to dispatch back."""
        self._changed("release_dispatch_lease", key, lease_id=lease_id)

    def finish_dispatch(self, key: StageKey, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        """Moves dispatching -> running with final totals."""
        return self._changed(
            "finish_dispatch", key, lease_id=lease_id, total_tasks=total_tasks, total_batches=total_batches
        )

    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageKey]:
        """Adds the counts of batches that have just finished."""
        rows = self._rows.all(_QUERIES["add_finished_batches"], {"batch_ids": list(batch_ids)})
        return sorted(key_of(row) for row in rows)

    def finish_if_complete(self, key: StageKey) -> bool:
        """Ends a stage when every batch has finished, or too many tasks have failed."""
        return self._changed("finish_if_complete", key)

    def record_result(self, key: StageKey, result: str) -> None:
        """Stores the stage's aggregated result."""
        self._changed("record_result", key, result=result)

    def stop(self, key: StageKey, status: StageStatus) -> bool:
        """Moves dispatching or running -> failed or cancelled."""
        return self._changed("stop", key, status=status)

    def reopen(self, key: StageKey, *, failed_too: bool) -> bool:
        """Moves a stage that has ended -> dispatching."""
        return self._changed("reopen", key, failed_too=failed_too)

    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageKey]:
        """Those of the stages that have ended while their job still stands at them."""
        return [key_of(row) for row in self._rows.all(_QUERIES["ended_but_not_advanced"], arrays(keys))]

    def _changed(self, query: str, key: StageKey, **values: Any) -> bool:
        return self._rows.execute(_QUERIES[query], {**columns(key), **values}) == 1


def _stage(row: Row) -> Stage:
    values = {**row, "number": row["stage"], "status": StageStatus(row["status"])}
    del values["stage"]
    return Stage(**values)
