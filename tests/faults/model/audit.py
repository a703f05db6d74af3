"""A database that checks every write and every commit against the rules that hold at all times."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from core.models import StageKey
from core.statuses import BATCH_ENDS, STAGE_ENDS, TASK_ENDS, JobStatus, StageStatus, TaskStatus
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.retry_parts import failed_task
from tests.fakes.rows import BatchRow, JobRow, RetryPartRow, StageRow, StartRow, TaskRow
from tests.fakes.store import Store, Transaction
from tests.fakes.tables import Tables
from tests.faults.model import writes
from tests.faults.model.invocation import Invocation, running
from tests.faults.model.jobs import MAX_RUNNING, RATE

R = TypeVar("R")

_REOPENED = (TaskStatus.FAILED, TaskStatus.PENDING_QUEUE)

AHEAD = 100
"""How many tasks of a stage may be written and unfinished; the largest stages wait for room twice."""

_WRITES: Mapping[str, Callable[[Any, Any, datetime], Iterable[str]]] = {
    "tasks": writes.of_task,
    "batches": writes.of_batch,
    "stages": writes.of_stage,
    "jobs": writes.of_job,
}


class Audit:
    """The violations found, and counts of what has happened.

    Attributes:
        violations: broken rules; collected, because the engine would catch an exception.
        advances: how often each job left each of its stages.
        runs: how often handlers were called.
        tables: what is committed.
    """

    def __init__(self, tables: Tables) -> None:
        self.violations: list[str] = []
        self.advances: Counter[StageKey] = Counter()
        self.runs = 0
        self.tables = tables
        self._tasks_of: dict[str, list[str]] = defaultdict(list)
        self._batches_of: dict[StageKey, list[str]] = defaultdict(list)

    def ran(self, task_id: str) -> None:
        """Called when a handler starts."""
        self.runs += 1
        if self.tables.tasks.get(task_id) is None:
            self.violations.append(f"task {task_id} runs and has no row")

    def wrote(self, table: str, old: Any, new: Any, now: datetime) -> None:
        """Called for every write of a row, before its commit."""
        check = _WRITES.get(table)
        if check is not None and new is not None:
            self.violations.extend(f"{table}: {each}: {old} -> {new}" for each in check(old, new, now))

    def claimed(self, task: TaskRow, stage: StageRow) -> None:
        """Called for every claim."""
        if stage.status in STAGE_ENDS:
            self.violations.append(f"a task of a stage that has ended is claimed: {task} {stage}")

    def reopened(self, task: TaskRow, stage: StageRow, part: RetryPartRow | None) -> None:
        """Called for every failed task that runs again."""
        chosen = part is not None and part.opening == stage.openings and part.part.includes(failed_task(task))
        if not stage.reopens_failed and not chosen:
            self.violations.append(f"a failed task that was not chosen runs again: {task} {stage} {part}")

    def committed(self, before: Mapping[str, Mapping[Any, Any]], changes: Mapping[str, Mapping[Any, Any]]) -> None:
        """Called after every commit with the rows that it has changed, before and after."""
        batches: dict[str, None] = {}
        stages: dict[StageKey, None] = {}
        for task_id, task in changes.get("tasks", {}).items():
            if task_id not in before.get("tasks", {}):
                self._tasks_of[task.batch_id].append(task_id)
            batches[task.batch_id] = None
        for batch_id, batch in changes.get("batches", {}).items():
            if batch_id not in before.get("batches", {}):
                self._batches_of[batch.stage_key].append(batch_id)
            batches[batch_id] = None
            stages[batch.stage_key] = None
        stages.update(dict.fromkeys(changes.get("stages", {})))
        for batch_id in batches:
            self._check_batch(_found(self.tables.batches.get(batch_id)))
        for key in stages:
            self._check_stage(_found(self.tables.stages.get(key)))
        for job_id, job in changes.get("jobs", {}).items():
            self._check_job(before["jobs"].get(job_id), job)
        for task_type in {start.task_type for start in changes.get("task_starts", {}).values() if start is not None}:
            self._check_starts(task_type)

    def _check_starts(self, task_type: str) -> None:
        """No more tasks hold a slot, and no more have started in a time, than the limits of their type allow."""
        starts = [start for start in self.tables.task_starts.rows() if start.task_type == task_type]
        held = [start for start in starts if start.holds_slot and self._is_live(start)]
        if len(held) > MAX_RUNNING:
            self.violations.append(f"{len(held)} tasks of type {task_type} hold slots: {held}")
        times = sorted(start.started_at for start in starts)
        for first, later in zip(times, times[RATE.starts :], strict=False):
            if (later - first).total_seconds() < RATE.seconds:
                self.violations.append(
                    f"more than {RATE.starts} tasks of type {task_type} start from {first} to {later}"
                )

    def _is_live(self, start: StartRow) -> bool:
        task = self.tables.tasks.get(start.task_id)
        return task is not None and task.lease_id == start.lease_id

    def _check_batch(self, batch: BatchRow) -> None:
        tasks = [_found(self.tables.tasks.get(task_id)) for task_id in self._tasks_of[batch.batch_id]]
        ended = Counter(task.status for task in tasks if task.status in TASK_ENDS)
        counted = (len(tasks), len(tasks) - ended.total(), ended[TaskStatus.FAILED], ended[TaskStatus.CANCELLED])
        if counted != (batch.task_count, batch.open_tasks, batch.failed_tasks, batch.cancelled_tasks):
            self.violations.append(f"tasks, open, failed, cancelled are {counted}: {batch}")

    def _check_stage(self, stage: StageRow) -> None:
        batches = [_found(self.tables.batches.get(batch_id)) for batch_id in self._batches_of[stage.key]]
        ended = [batch for batch in batches if batch.status in BATCH_ENDS]
        failed = sum(batch.failed_tasks for batch in ended)
        cancelled = sum(batch.cancelled_tasks for batch in ended)
        completed = sum(batch.task_count for batch in ended) - failed - cancelled
        counted = (len(ended), completed, failed, cancelled)
        if counted != (stage.finished_batches, stage.completed_tasks, stage.failed_tasks, stage.cancelled_tasks):
            self.violations.append(f"finished batches, completed, failed, cancelled are {counted}: {stage}")
        out = sum(batch.open_tasks for batch in batches)
        if out > AHEAD:
            self.violations.append(f"{out} tasks are out: {stage}")

    def _check_start(self, old: JobRow | None, new: JobRow) -> None:
        """No other job with the same key works, and the jobs before it have completed."""
        if new.status == JobStatus.PROCESSING and (old is None or old.status != JobStatus.PROCESSING):
            mine = self.tables.job_waits.get(new.job_id)
            others = [
                row.job_id for row in self.tables.job_waits.rows() if mine and row.exclusive_key == mine.exclusive_key
            ]
            for other in others if mine and mine.exclusive_key else ():
                if other != new.job_id and self._works(other):
                    self.violations.append(f"two jobs with one key work at the same time: {other}, {new}")
            for row in self.tables.job_dependencies.rows():
                if row.job_id == new.job_id and row.completed_at is None:
                    self.violations.append(f"a job starts before one that it waits for has completed: {row}")

    def _works(self, job_id: str) -> bool:
        tasks = (row for row in self.tables.tasks.rows() if row.parent_job_id == job_id)
        processing = any(row.status == TaskStatus.PROCESSING for row in tasks)
        return processing or _found(self.tables.jobs.get(job_id)).status == JobStatus.PROCESSING

    def _check_job(self, old: JobRow | None, new: JobRow) -> None:
        self._check_start(old, new)
        if old is None or not 0 < old.stage < new.stage:
            return
        key = StageKey(new.job_id, old.stage)
        self.advances[key] += 1
        left = _found(self.tables.stages.get(key))
        if left.status != StageStatus.FINISHED:
            self.violations.append(f"job {new.job_id} leaves a stage that is not finished: {left}")


class AuditedDatabase(FakeDatabase):
    """The port `Database`, watched.

    Attributes:
        audit: what it has found.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, _Store())
        self.audit = Audit(Tables(Transaction(self._store, clock.now())))

    def begin(self) -> Transaction:
        return _Transaction(self._store, self.clock.now(), self.audit)


class _Store(Store):
    def wait_for(self, owner: Transaction) -> None:
        """Lets the invocation that has stopped in the middle of a transaction run to its end."""
        assert isinstance(owner, _Transaction)
        self.changed.release()
        try:
            running().let_run(owner.invocation)
        finally:
            self.changed.acquire()


class _Transaction(Transaction):
    def __init__(self, store: Store, started_at: datetime, audit: Audit) -> None:
        super().__init__(store, started_at)
        self.invocation: Invocation = running()
        self._audit = audit

    def write(self, table: str, key: Any, row: Any) -> None:
        old = self.read(table, key)
        super().write(table, key, row)
        self._audit.wrote(table, old, row, self.started_at)
        if table == "tasks" and row.status == TaskStatus.PROCESSING and old.lease_id != row.lease_id:
            self._audit.claimed(row, self.read("stages", row.stage_key))
        if table == "tasks" and old is not None and (old.status, row.status) == _REOPENED:
            key = row.stage_key
            self._audit.reopened(old, self.read("stages", key), self.read("retry_parts", key))

    def commit(self) -> None:
        changes = {} if self._failed else self._changes
        before = {table: _some(self._store.committed.get(table, {}), rows) for table, rows in changes.items()}
        super().commit()
        self._audit.committed(before, changes)


def _found(row: R | None) -> R:
    assert row is not None
    return row


def _some(rows: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, Any]:
    return {key: rows[key] for key in keys if key in rows}
