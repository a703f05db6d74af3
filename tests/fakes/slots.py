from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from typing_extensions import override

from core.statuses import StageStatus, TaskStatus
from core.task_limits import Candidate, SlotUse, TaskLimit, WokenTask
from repositories.ports import SlotRepository
from tests.fakes.rows import StartRow, TaskRow, WaitRow
from tests.fakes.tables import Tables

_QUEUED = (TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED)


class FakeSlotRepository(SlotRepository):
    """`SlotRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._starts = tables.task_starts
        self._waits = tables.limit_waits
        self._now = tables.now

    @override
    def types_of(self, task_ids: Sequence[str], task_types: Sequence[str]) -> dict[str, str]:
        rows = [row for task_id in task_ids if (row := self._tables.tasks.get(task_id)) is not None]
        return {row.task_id: row.task_type for row in rows if row.task_type in task_types}

    @override
    def lock(self, task_type: str) -> None:
        self._tables.task_type_locks.lock(task_type)

    @override
    def use(self, task_type: str, limit: TaskLimit, age_seconds: float) -> SlotUse:
        since = self._now - timedelta(seconds=limit.rate_seconds)
        for row in self._starts_of(task_type):
            if row.holds_slot and not self._is_live(row):
                self._starts.lock(row.key)
                self._starts.update(row.key, replace(row, holds_slot=False))
        for row in self._starts_of(task_type):
            if not row.holds_slot and row.started_at <= since:
                self._starts.delete(row.key)
        starts = self._starts_of(task_type)
        waits = [row for row in self._waits.rows() if row.task_type == task_type]
        return SlotUse(
            now=self._now,
            running=sum(row.holds_slot for row in starts),
            started=sum(row.started_at > since for row in starts),
            promised=sum(self._is_promised(row, age_seconds) for row in waits),
            parked=bool(waits),
        )

    @override
    def candidates(self, task_ids: Sequence[str], age_seconds: float) -> list[Candidate]:
        found = []
        for task_id in set(task_ids):
            task, wait = self._tables.tasks.get(task_id), self._waits.get(task_id)
            if task is not None and self._may_run(task):
                since = self._now if wait is None else wait.since
                found.append((since, task_id, wait is not None and self._is_promised(wait, age_seconds)))
        return [Candidate(task_id, promised) for _, task_id, promised in sorted(found)]

    @override
    def start(self, task_type: str, task_ids: Sequence[str], lease_id: str) -> None:
        for task_id in task_ids:
            row = StartRow(task_type, task_id, lease_id, self._now)
            assert self._starts.insert(row.key, row)
            self._waits.delete(task_id)

    @override
    def forget_starts(self, task_types: Sequence[str], task_ids: Sequence[str], lease_id: str) -> None:
        for row in self._starts.rows():
            if row.task_type in task_types and row.task_id in task_ids and row.lease_id == lease_id:
                self._starts.delete(row.key)

    @override
    def park(self, task_type: str, task_ids: Sequence[str], waits_for: str) -> None:
        for task_id in task_ids:
            row = WaitRow(task_id, task_type, waits_for, self._now)
            known = self._waits.lock(task_id)
            self._waits.update(task_id, row if known is None else replace(row, since=known.since))

    @override
    def unpark(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            self._waits.delete(task_id)

    @override
    def expiring(self, task_type: str, limit: TaskLimit, first: int, count: int) -> list[datetime]:
        since = self._now - timedelta(seconds=limit.rate_seconds)
        times = sorted(row.started_at for row in self._starts_of(task_type) if row.started_at > since)
        return times[first : first + count]

    @override
    def next_parked(self, task_type: str, age_seconds: float, count: int) -> list[str]:
        found: list[str] = []
        for wait in sorted(self._waits.rows(), key=lambda row: row.place):
            if len(found) == count or wait.task_type != task_type or self._is_promised(wait, age_seconds):
                continue
            task = self._tables.tasks.get(wait.task_id)
            if task is not None and self._may_run(task):
                found.append(wait.task_id)
            else:
                self._waits.delete(wait.task_id)
        return found

    @override
    def wake(self, due_times: Mapping[str, datetime | None]) -> list[WokenTask]:
        woken = []
        for task_id, due_at in due_times.items():
            task, wait = next(iter(self._tables.tasks.lock_free([task_id])), None), self._waits.lock(task_id)
            if task is None or wait is None:
                continue
            batch, job = self._tables.batches.get(task.batch_id), self._tables.jobs.get(task.parent_job_id)
            assert batch is not None
            assert job is not None
            self._tables.tasks.update(task_id, replace(task, sends=task.sends + 1))
            self._waits.update(task_id, replace(wait, woken_at=due_at or self._now))
            woken.append(WokenTask(task_id, task.batch_id, batch.lane, job.urgent, task.sends + 1, due_at))
        return woken

    @override
    def limited_types(self) -> list[str]:
        return sorted({row.task_type for rows in (self._starts.rows(), self._waits.rows()) for row in rows})

    def _starts_of(self, task_type: str) -> list[StartRow]:
        return [row for row in self._starts.rows() if row.task_type == task_type]

    def _is_live(self, start: StartRow) -> bool:
        task = self._tables.tasks.get(start.task_id)
        return (
            task is not None
            and task.status == TaskStatus.PROCESSING
            and task.lease_id == start.lease_id
            and task.lease_expires_at is not None
            and task.lease_expires_at > self._now
        )

    def _is_promised(self, wait: WaitRow, age_seconds: float) -> bool:
        return wait.woken_at is not None and wait.woken_at > self._now - timedelta(seconds=age_seconds)

    def _may_run(self, task: TaskRow) -> bool:
        stage = self._tables.stages.get(task.stage_key)
        if stage is None or stage.status not in {StageStatus.DISPATCHING, StageStatus.RUNNING}:
            return False
        due_at = task.lease_expires_at or task.not_before
        return task.status in _QUEUED or (due_at is not None and due_at <= self._now)
