from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from typing_extensions import override

from core.definitions import AlignedBatch
from core.errors import DispatchLeaseLostError
from core.models import StageKey, Task, TaskError
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from core.statuses import TASK_ENDS, BatchStatus, StageStatus, TaskStatus
from core.task_runs import ClaimedTask, RecordedTask, TaskOutcome, TaskResult, UnclaimedTask
from repositories.ports import TaskRepository
from tests.fakes.pages import cut, json_bytes
from tests.fakes.rows import TaskRow, from_json, same_json
from tests.fakes.tables import Tables
from tests.fakes.task_rows import (
    as_result,
    as_task,
    batch_row,
    claimed_row,
    claimed_task,
    recorded_row,
    released_row,
    task_rows,
)

_WAITING = (TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED)


class FakeTaskRepository(TaskRepository):
    """`TaskRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus, lease_id: str) -> bool:
        stage = self._tables.stages.share_key(StageKey(batch.job_id, batch.stage))
        if stage is None or stage.status != StageStatus.DISPATCHING or stage.dispatch_lease_id != lease_id:
            raise DispatchLeaseLostError(f"stage {batch.stage} of job {batch.job_id} is not dispatched here any more")
        if not self._tables.batches.insert(batch.batch_id, batch_row(batch, status, stage.openings, self._now)):
            return False
        for row in task_rows(batch, status, self._now):
            if not self._tables.tasks.insert(row.task_id, row):
                raise self._tables.tasks.violation("tasks_pkey")
        return True

    @override
    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        batch = self._tables.batches.get(batch_id)
        if batch is None or batch.send_attempts != send_attempt:
            return 0
        task_ids = [row.task_id for row in self._tables.tasks.rows() if row.batch_id == batch_id]
        rows = self._tables.tasks.lock_free(task_ids, lambda row: row.status == expected)
        for row in rows:
            self._tables.tasks.update(row.task_id, replace(row, status=status))
        return len(rows)

    def begin_resend(self, batch_id: str) -> dict[str, int]:
        """Counts one more send of each pending task of a pending batch; returns the send numbers."""
        rows = self._lock_of_batch(batch_id, TaskStatus.PENDING_QUEUE)
        batch = self._tables.batches.lock(batch_id)
        if batch is None or batch.status != BatchStatus.PENDING_QUEUE:
            return {}
        return self._count_sends(rows)

    @override
    def claim(
        self, task_ids: Sequence[str], lease_id: str, lease_seconds: float, worker: str | None = None
    ) -> list[ClaimedTask]:
        expires_at = self._now + timedelta(seconds=lease_seconds)
        rows = self._tables.tasks.lock_free(task_ids, self._may_run)
        claimed = [
            replace(claimed_row(row, lease_id, expires_at, self._now), worker=worker or row.worker) for row in rows
        ]
        for row in claimed:
            self._tables.tasks.update(row.task_id, row)
        return [claimed_task(row) for row in claimed]

    @override
    def claim_batch(self, batch_id: str, lease_id: str, lease_seconds: float, worker: str) -> list[ClaimedTask]:
        return self.claim(self.ids_of_batch(batch_id), lease_id, lease_seconds, worker)

    @override
    def ids_of_batch(self, batch_id: str) -> list[str]:
        return [row.task_id for row in self._tables.tasks.rows() if row.batch_id == batch_id]

    @override
    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        rows = [row for task_id in sorted(set(task_ids)) if (row := self._tables.tasks.get(task_id)) is not None]
        return [UnclaimedTask(row.task_id, row.status, self._due_at(row)) for row in rows]

    @override
    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        expires_at = self._now + timedelta(seconds=lease_seconds)
        is_held = _held_by(lease_id)
        for free in self._tables.tasks.lock_free(task_ids, is_held):
            self._tables.tasks.update(free.task_id, replace(free, lease_expires_at=expires_at))
        rows = [row for task_id in task_ids if (row := self._tables.tasks.get(task_id)) is not None]
        return {row.task_id for row in rows if is_held(row)}

    @override
    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        rows = [row for task_id in set(task_ids) if (row := self._tables.tasks.get(task_id)) is not None]
        return {row.task_id for row in rows if not self._is_live(row)}

    @override
    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        by_id = {outcome.task_id: outcome for outcome in outcomes}
        held = self._lock_held(list(by_id), lease_id)
        try:
            recorded = [recorded_row(row, by_id[row.task_id], self._now) for row in held]
        except OverflowError as exc:
            raise self._tables.tasks.refusal("interval out of range") from exc
        for row in recorded:
            self._tables.tasks.update(row.task_id, row)
        return [RecordedTask(row.task_id, row.batch_id, row.status, row.sends, row.not_before) for row in recorded]

    @override
    def write_checkpoint(self, task_id: str, lease_id: str, checkpoint: str) -> bool:
        held = self._lock_held([task_id], lease_id)
        for row in held:
            same = row.checkpoint is not None and same_json(row.checkpoint, checkpoint)
            idle = row.idle_continuations if same else 0
            self._tables.tasks.update(task_id, replace(row, checkpoint=checkpoint, idle_continuations=idle))
        return bool(held)

    @override
    def write_progress(self, task_id: str, lease_id: str, fraction: float, note: str | None) -> bool:
        held = self._lock_held([task_id], lease_id)
        for row in held:
            self._tables.tasks.update(
                task_id, replace(row, progress=fraction, progress_note=note, progress_at=self._now)
            )
        return bool(held)

    @override
    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        held = self._lock_held(task_ids, lease_id)
        for row in held:
            self._tables.tasks.update(row.task_id, released_row(row, self._now))
        return len(held)

    @override
    def begin_dead_letter(self, task_id: str, sends: int) -> int | None:
        row = self._tables.tasks.lock(task_id)
        if row is None or row.sends != sends or row.status in TASK_ENDS:
            return None
        self._tables.tasks.update(task_id, row)
        return row.dead_letters

    @override
    def count_dead_letter(self, task_id: str, sends: int, *, died: bool) -> bool:
        row = self._tables.tasks.lock(task_id)
        if row is None or row.sends != sends or row.status in TASK_ENDS:
            return False
        self._tables.tasks.update(task_id, replace(row, dead_letters=row.dead_letters + died, sends=row.sends + 1))
        return True

    @override
    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        return self._count_sends(self._tables.tasks.lock_free(task_ids))

    @override
    def get(self, task_id: str) -> Task | None:
        row = self._tables.tasks.get(task_id)
        return None if row is None else as_task(self._shown(row))

    @override
    def page(
        self,
        job_id: str,
        status: TaskStatus | None,
        after: str,
        limit: int,
        include: Iterable[TaskPayload] = (),
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> Page[Task]:
        included = set(include)
        of_job = (row for row in self._tables.tasks.rows() if row.parent_job_id == job_id and row.task_id > after)
        rows = [row for row in map(self._shown, of_job) if status in {None, row.status}]

        def size(row: TaskRow) -> int:
            payload = [getattr(row, name) for name in included]
            return json_bytes(row.error, row.errors, *payload)

        page = cut(rows, limit, max_bytes, size)
        return Page((as_task(row, included) for row in page), has_more=page.has_more)

    @override
    def results_page(
        self, key: StageKey, after_index: int, limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[TaskResult]:
        rows = [
            row
            for row in self._tables.tasks.rows()
            if row.stage_key == key and row.task_index > after_index and row.status in TASK_ENDS
        ]
        page = cut(rows, limit, max_bytes, lambda row: json_bytes(row.result, row.error))
        return Page(map(as_result, page), has_more=page.has_more)

    @override
    def first_errors(self, key: StageKey, limit: int) -> list[TaskError]:
        failed = (row for row in self._tables.tasks.rows() if row.stage_key == key and row.status == TaskStatus.FAILED)
        read = [(row.task_id, from_json(row.error)) for row in islice(failed, limit)]
        return [TaskError(task_id, error.get("type") or "", error.get("message") or "") for task_id, error in read]

    def _may_run(self, row: TaskRow) -> bool:
        due_at = self._due_at(row)
        return due_at is not None and due_at <= self._now

    def _is_live(self, row: TaskRow) -> bool:
        stage = self._tables.stages.get(row.stage_key)
        return stage is not None and stage.status in {StageStatus.DISPATCHING, StageStatus.RUNNING}

    def _due_at(self, row: TaskRow) -> datetime | None:
        if not self._is_live(row):
            return None
        if row.status in _WAITING:
            return self._now
        return row.lease_expires_at or row.not_before

    def _count_sends(self, rows: Sequence[TaskRow]) -> dict[str, int]:
        sends = {row.task_id: row.sends + 1 for row in rows}
        for row in rows:
            self._tables.tasks.update(row.task_id, replace(row, sends=sends[row.task_id]))
        return sends

    def _lock_held(self, task_ids: Sequence[str], lease_id: str) -> list[TaskRow]:
        return self._tables.tasks.lock_those(task_ids, _held_by(lease_id))

    def _shown(self, row: TaskRow) -> TaskRow:
        """The row of a task in an envelope is not written when its batch is marked as queued."""
        batch = self._tables.batches.get(row.batch_id)
        is_sent = batch is not None and batch.enveloped and batch.status != BatchStatus.PENDING_QUEUE
        return replace(row, status=TaskStatus.QUEUED) if is_sent and row.status == TaskStatus.PENDING_QUEUE else row

    def _lock_of_batch(self, batch_id: str, status: TaskStatus) -> list[TaskRow]:
        ids = [row.task_id for row in self._tables.tasks.rows() if row.batch_id == batch_id]
        return self._tables.tasks.lock_those(ids, lambda row: row.status == status)


def _held_by(lease_id: str) -> Callable[[TaskRow], bool]:
    return lambda row: row.status == TaskStatus.PROCESSING and row.lease_id == lease_id
