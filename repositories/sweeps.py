"""Finds rows whose messages were lost, on PostgreSQL."""

from collections import Counter
from collections.abc import Iterable, Sequence

from typing_extensions import override

from core.ids import parse_task_id
from core.job_events import Repair
from core.lanes import Lane
from core.models import LostTask, OverdueBatch, SilentBatches, StageKey, StageOpening
from core.statuses import JobStatus
from repositories import queries
from repositories.job_events import PostgresJobEventRepository
from repositories.ports import SweepRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import arrays, columns, key_of, opening_of

_QUERIES = queries.load("sweeps")


class PostgresSweepRepository(SweepRepository):
    """Runs the queries of `sql/sweeps.sql`, and tells the jobs of the repairs."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._events = PostgresJobEventRepository(rows)

    @override
    def unstarted_jobs(self, status: JobStatus, age_seconds: float, limit: int) -> list[str]:
        job_ids = self._find("unstarted_jobs", "job_id", age_seconds, limit, status=status)
        self._rows.execute(_QUERIES["touch_jobs"], {"job_ids": job_ids})
        self._events.repaired(Repair.FIRST_MESSAGE, {StageKey(job_id, 0): 1 for job_id in job_ids})
        return job_ids

    @override
    def pending_batches(self, age_seconds: float, limit: int) -> list[OverdueBatch]:
        rows = self._rows.all(_QUERIES["pending_batches"], {"age_seconds": age_seconds, "limit": limit})
        return [OverdueBatch(**{**row, "lane": Lane(row["lane"])}) for row in rows]

    @override
    def overdue_retries(self, age_seconds: float, limit: int) -> list[LostTask]:
        return self._touch_tasks(Repair.OVERDUE_RETRIES, self._find("overdue_retries", "task_id", age_seconds, limit))

    @override
    def expired_leases(self, age_seconds: float, limit: int) -> list[LostTask]:
        return self._touch_tasks(Repair.EXPIRED_LEASES, self._find("expired_leases", "task_id", age_seconds, limit))

    @override
    def interrupted_dispatches(self, age_seconds: float, limit: int) -> list[StageOpening]:
        return self._openings(Repair.INTERRUPTED_DISPATCH, "interrupted_dispatches", age_seconds, limit)

    @override
    def stages_with_room(self, low: int, age_seconds: float, limit: int) -> list[StageOpening]:
        rows = self._stages("stages_with_room", "give_room", age_seconds, limit, low=low)
        self._events.repaired(Repair.INTERRUPTED_DISPATCH, {key_of(row): 1 for row in rows if row["is_lost"]})
        return [opening_of(row) for row in rows]

    @override
    def unadvanced_stages(self, age_seconds: float, limit: int) -> list[StageOpening]:
        return self._openings(Repair.UNADVANCED_STAGE, "unadvanced_stages", age_seconds, limit)

    @override
    def stopped_stages(self, age_seconds: float, limit: int) -> list[StageOpening]:
        return self._openings(Repair.STOPPED_STAGE, "stopped_stages", age_seconds, limit)

    @override
    def silent_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        rows = self._stages("silent_stages", "begin_silence", age_seconds, limit)
        return [key_of(row) for row in rows]

    @override
    def silent_batches(self, key: StageKey, age_seconds: float, limit: int) -> SilentBatches:
        values = {**columns(key), "age_seconds": age_seconds, "limit": limit}
        batch_ids = [row["batch_id"] for row in self._rows.all(_QUERIES["silent_batches"], values)]
        self._rows.execute(_QUERIES["touch_batches"], {"batch_ids": batch_ids})
        waiting = self._rows.all(_QUERIES["waiting_tasks"], {"batch_ids": batch_ids})
        task_ids = [row["task_id"] for row in waiting]
        lost = [_lost(row) for row in self._rows.all(_QUERIES["count_sends"], {"task_ids": task_ids})]
        self._events.repaired(Repair.SILENT_TASKS, messages_by_stage(lost))
        if not batch_ids:
            self._rows.execute(_QUERIES["end_silence"], columns(key))
        return SilentBatches(len(batch_ids), lost)

    def _find(self, query: str, column: str, age_seconds: float, limit: int, **values: str) -> list[str]:
        rows = self._rows.all(_QUERIES[query], {"age_seconds": age_seconds, "limit": limit, **values})
        return [row[column] for row in rows]

    def _touch_tasks(self, repair: Repair, task_ids: Sequence[str]) -> list[LostTask]:
        lost = [_lost(row) for row in self._rows.all(_QUERIES["touch_tasks"], {"task_ids": list(task_ids)})]
        self._events.repaired(repair, messages_by_stage(lost))
        return lost

    def _openings(self, repair: Repair, query: str, age_seconds: float, limit: int) -> list[StageOpening]:
        openings = [opening_of(row) for row in self._stages(query, "touch_stages", age_seconds, limit)]
        self._events.repaired(repair, {opening.key: 1 for opening in openings})
        return openings

    def _stages(self, query: str, touch: str, age_seconds: float, limit: int, **values: int) -> list[Row]:
        rows = self._rows.all(_QUERIES[query], {"age_seconds": age_seconds, "limit": limit, **values})
        self._rows.execute(_QUERIES[touch], arrays([key_of(row) for row in rows]))
        return rows


def _lost(row: Row) -> LostTask:
    return LostTask(**{**row, "lane": Lane(row["lane"])})


def messages_by_stage(tasks: Iterable[LostTask]) -> dict[StageKey, int]:
    """Counts the tasks of each stage: each gets one message."""
    addresses = (parse_task_id(task.task_id) for task in tasks)
    return dict(Counter(StageKey(address.job_id, address.stage) for address in addresses))
