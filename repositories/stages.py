from collections.abc import Sequence
from datetime import datetime
from typing import Any

from typing_extensions import override

from core.checkpoints import Checkpoint, Fold
from core.models import (
    FIRST_BATCHES,
    MOST_COUNTED_TASKS,
    SAMPLED_UNFINISHED_BATCHES,
    Job,
    Stage,
    StageCounts,
    StageKey,
    StageOpening,
    StageProgress,
)
from core.statuses import STAGE_STOPS, StageStatus
from repositories import queries
from repositories.jobs import job_of
from repositories.ports import StageRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import arrays, columns, key_of, opening_of

_QUERIES = queries.load("stages")
_OF_STAGE = "s_"
"""The prefix of the columns of a stage in a row of its job."""


class PostgresStageRepository(StageRepository):
    """Runs the queries of `sql/stages.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def create(self, key: StageKey, name: str, max_failed_fraction: float) -> bool:
        return self._changed("create", key, name=name, max_failed_fraction=max_failed_fraction)

    @override
    def start_job(
        self, key: StageKey, name: str, max_failed_fraction: float, lease_id: str, lease_seconds: float
    ) -> Stage | None:
        values = {"name": name, "max_failed_fraction": max_failed_fraction}
        lease = {"lease_id": lease_id, "lease_seconds": lease_seconds}
        row = self._rows.first(_QUERIES["start_job"], {"job_id": key.job_id, **values, **lease})
        return None if row is None else _stage(row)

    @override
    def with_job(self, key: StageKey) -> tuple[Job, Stage | None] | None:
        row = self._rows.first(_QUERIES["with_job"], columns(key))
        if row is None:
            return None
        job = {name: value for name, value in row.items() if not name.startswith(_OF_STAGE)}
        stage = {name.removeprefix(_OF_STAGE): value for name, value in row.items() if name.startswith(_OF_STAGE)}
        return job_of(job), None if stage["job_id"] is None else _stage(stage)

    @override
    def get(self, key: StageKey) -> Stage | None:
        row = self._rows.first(_QUERIES["get"], columns(key))
        return None if row is None else _stage(row)

    @override
    def of_job(self, job_id: str) -> list[Stage]:
        return [_stage(row) for row in self._rows.all(_QUERIES["of_job"], {"job_id": job_id})]

    @override
    def results_of_job(self, job_id: str, after_stage: int = 0, max_bytes: int | None = None) -> dict[int, Any]:
        values = {"job_id": job_id, "after_stage": after_stage, "max_bytes": max_bytes}
        return {row["stage"]: row["result"] for row in self._rows.all(_QUERIES["results_of_job"], values)}

    @override
    def counts(self, key: StageKey, most_tasks: int = MOST_COUNTED_TASKS) -> StageCounts:
        limits = {"most_tasks": most_tasks, "sampled": SAMPLED_UNFINISHED_BATCHES, "first": FIRST_BATCHES}
        row = dict(self._rows.one(_QUERIES["counts"], {**columns(key), **limits}))
        are_estimates = bool(row.pop("are_estimates"))
        return StageCounts(**{name: int(count) for name, count in row.items()}, are_estimates=are_estimates)

    @override
    def acquire_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        return self._changed("acquire_dispatch_lease", key, lease_id=lease_id, lease_seconds=lease_seconds)

    @override
    def renew_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        return self._changed("renew_dispatch_lease", key, lease_id=lease_id, lease_seconds=lease_seconds)

    @override
    def dispatch_lease_expires_at(self, key: StageKey) -> datetime | None:
        row = self._rows.first(_QUERIES["dispatch_lease_expires_at"], columns(key))
        return None if row is None else row["dispatch_lease_expires_at"]

    @override
    def release_dispatch_lease(self, key: StageKey, lease_id: str) -> None:
        self._changed("release_dispatch_lease", key, lease_id=lease_id)

    @override
    def record_checkpoint(self, key: StageKey, lease_id: str, checkpoint: Checkpoint) -> bool:
        cursor = checkpoint.encoded_cursor
        values = {"tasks": checkpoint.tasks, "batches": checkpoint.batches, "cursor": cursor}
        return self._changed("record_checkpoint", key, lease_id=lease_id, **values)

    @override
    def record_idle_slices(self, key: StageKey, lease_id: str, idle_slices: int) -> bool:
        return self._changed("record_idle_slices", key, lease_id=lease_id, idle_slices=idle_slices)

    @override
    def wait_for_room(self, key: StageKey, lease_id: str, low: int) -> bool:
        return self._changed("wait_for_room", key, lease_id=lease_id, low=low)

    @override
    def waiting_with_room(self, keys: Sequence[StageKey]) -> list[StageOpening]:
        return [opening_of(row) for row in self._rows.all(_QUERIES["waiting_with_room"], arrays(keys))]

    @override
    def finish_dispatch(self, key: StageKey, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        return self._changed(
            "finish_dispatch", key, lease_id=lease_id, total_tasks=total_tasks, total_batches=total_batches
        )

    @override
    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageProgress]:
        return self.progress(self._rows.all(_QUERIES["add_finished_batches"], {"batch_ids": list(batch_ids)}))

    def progress(self, rows: Sequence[Row]) -> list[StageProgress]:
        """Returns the stages to which batches were added; tells that the tasks of the stopped ones have ended."""
        stopped = [key_of(row) for row in rows if StageStatus(row["status"]) in STAGE_STOPS]
        if stopped:
            self._rows.execute(_QUERIES["tell_tasks_ended"], arrays(stopped))
        return sorted(StageProgress(opening_of(row), _gets_room(row), _may_end(row)) for row in rows)

    @override
    def finish_if_complete(self, key: StageKey) -> bool:
        ended = self._changed("finish_if_complete", key)
        if ended:
            self._rows.later(_QUERIES["tell_end"], columns(key))
        return ended

    @override
    def record_result(self, key: StageKey, result: str) -> None:
        self._rows.later(_QUERIES["record_result"], {**columns(key), "result": result})

    @override
    def fold(self, key: StageKey) -> Fold:
        row = self._rows.first(_QUERIES["fold"], columns(key))
        return Fold() if row is None else Fold(row["tasks"], row["state"])

    @override
    def record_fold(self, stage: Stage, tasks_before: int, tasks: int, state: str) -> bool:
        values = {"openings": stage.openings, "tasks_before": tasks_before, "tasks": tasks, "state": state}
        return self._changed("record_fold", stage.key, **values)

    @override
    def stop(self, key: StageKey, status: StageStatus) -> bool:
        return self._changed("stop", key, status=status) and self._changed("tell_end", key)

    @override
    def reopen(self, key: StageKey, *, failed_too: bool) -> bool:
        return self._changed("reopen", key, failed_too=failed_too)

    @override
    def count_opening(self, key: StageKey) -> bool:
        return self._changed("count_opening", key)

    @override
    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageOpening]:
        return [opening_of(row) for row in self._rows.all(_QUERIES["ended_but_not_advanced"], arrays(keys))]

    def _changed(self, query: str, key: StageKey, **values: Any) -> bool:
        return self._rows.execute(_QUERIES[query], {**columns(key), **values}) == 1


def _gets_room(row: Row) -> bool:
    """Whether the dispatch waits for the batches that have just ended. To ask in the query costs more."""
    room_after, finished = row["room_after"], row["finished_batches"]
    is_waiting = StageStatus(row["status"]) == StageStatus.DISPATCHING and room_after is not None
    return is_waiting and finished - row["ended_now"] < room_after <= finished


def _may_end(row: Row) -> bool:
    return bool(row["failed_tasks"] or row["finished_batches"] == row["total_batches"])


def _stage(row: Row) -> Stage:
    values = {**row, "number": row["stage"], "status": StageStatus(row["status"])}
    del values["stage"]
    tasks, batches, cursor = (values.pop(f"checkpoint_{part}") for part in ("tasks", "batches", "cursor"))
    return Stage(**values, checkpoint=Checkpoint(tasks, batches, cursor))
