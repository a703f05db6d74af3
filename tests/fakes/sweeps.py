from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from typing_extensions import override

from core.job_events import Repair
from core.models import LostTask, OverdueBatch, SilentBatches, StageKey, StageOpening
from core.statuses import BATCH_ENDS, STAGE_STOPS, BatchStatus, JobStatus, StageStatus, TaskStatus
from repositories.ports import SweepRepository
from repositories.sweeps import messages_by_stage
from tests.fakes.job_events import FakeJobEventRepository
from tests.fakes.rows import BatchRow, StageRow, TaskRow
from tests.fakes.tables import Tables

_ENDED = (StageStatus.FINISHED, StageStatus.FAILED)
_WAITING = (TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED)


class FakeSweepRepository(SweepRepository):
    """`SweepRepository` in memory; it waits for rows that another transaction holds, where PostgreSQL passes over."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._events = FakeJobEventRepository(tables)
        self._now = tables.now

    @override
    def unstarted_jobs(self, status: JobStatus, age_seconds: float, limit: int) -> list[str]:
        found = [
            row
            for row in self._tables.jobs.rows()
            if row.status == status and self._is_old(age_seconds, row.queued_at or row.created_at)
        ][:limit]
        for row in found:
            self._tables.jobs.lock(row.job_id)
            self._tables.jobs.update(row.job_id, replace(row, queued_at=self._now))
        self._events.repaired(Repair.FIRST_MESSAGE, {StageKey(row.job_id, 0): 1 for row in found})
        return [row.job_id for row in found]

    @override
    def pending_batches(self, age_seconds: float, limit: int) -> list[OverdueBatch]:
        found = [
            row
            for row in self._tables.batches.rows()
            if row.status == BatchStatus.PENDING_QUEUE
            and self._is_old(age_seconds, row.created_at)
            and self._is_processing(row.job_id)
            and not self._is_being_dispatched(row)
        ]
        found.sort(key=lambda row: (row.send_attempts, row.created_at))
        return [
            OverdueBatch(row.batch_id, row.lane, self._is_urgent(row.job_id), row.enveloped) for row in found[:limit]
        ]

    @override
    def overdue_retries(self, age_seconds: float, limit: int) -> list[LostTask]:
        return self._touch_tasks(
            Repair.OVERDUE_RETRIES,
            lambda row: (
                row.status == TaskStatus.RETRYING
                and self._is_old(age_seconds, row.not_before)
                and not self._is_parked(row)
            ),
            limit,
        )

    @override
    def expired_leases(self, age_seconds: float, limit: int) -> list[LostTask]:
        return self._touch_tasks(
            Repair.EXPIRED_LEASES,
            lambda row: (
                row.status == TaskStatus.PROCESSING
                and self._is_old(age_seconds, row.lease_expires_at)
                and not self._is_parked(row)
            ),
            limit,
        )

    @override
    def interrupted_dispatches(self, age_seconds: float, limit: int) -> list[StageOpening]:
        found = self._touch_stages(
            lambda row: (
                row.status == StageStatus.DISPATCHING
                and row.room_after is None
                and self._is_old(age_seconds, row.created_at, row.attended_at, row.dispatch_lease_expires_at)
            ),
            limit,
        )
        return self._told(Repair.INTERRUPTED_DISPATCH, found)

    @override
    def stages_with_room(self, low: int, age_seconds: float, limit: int) -> list[StageOpening]:
        found = [
            row
            for row in self._tables.stages.rows()
            if self._tables.is_at(row.key)
            and row.status == StageStatus.DISPATCHING
            and row.room_after is not None
            and self._is_old(age_seconds, row.created_at, row.attended_at, row.dispatch_lease_expires_at)
            and (row.finished_batches >= row.room_after or self._tasks_out(row.key) <= low)
        ][:limit]
        lost = {row.key: 1 for row in found if row.finished_batches >= (row.room_after or 0)}
        self._events.repaired(Repair.INTERRUPTED_DISPATCH, lost)
        return self._touch(
            found,
            lambda row: replace(row, attended_at=self._now, room_after=min(row.room_after or 0, row.finished_batches)),
        )

    @override
    def unadvanced_stages(self, age_seconds: float, limit: int) -> list[StageOpening]:
        found = self._touch_stages(
            lambda row: row.status in _ENDED and self._is_old(age_seconds, row.finished_at, row.attended_at), limit
        )
        return self._told(Repair.UNADVANCED_STAGE, found)

    @override
    def stopped_stages(self, age_seconds: float, limit: int) -> list[StageOpening]:
        live = {row.stage_key for row in self._tables.batches.rows() if row.status not in BATCH_ENDS}
        found = [
            row
            for row in self._tables.stages.rows()
            if row.status in STAGE_STOPS
            and row.key in live
            and self._is_old(age_seconds, row.finished_at, row.attended_at)
        ][:limit]
        return self._told(Repair.STOPPED_STAGE, self._touch(found, lambda row: replace(row, attended_at=self._now)))

    @override
    def silent_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        found = self._touch_stages(
            lambda row: self._runs_or_waits_for_room(row) and self._is_silent(row, age_seconds),
            limit,
            lambda row: replace(row, silent_since=row.silent_since or self._now),
        )
        return [stage.key for stage in found]

    @override
    def silent_batches(self, key: StageKey, age_seconds: float, limit: int) -> SilentBatches:
        stage = self._tables.stages.lock(key)
        assert stage is not None
        due = [
            (row.queued_at, row.batch_index, row)
            for row in self._tables.batches_of(key)
            if row.queued_at is not None and self._is_due(row, age_seconds)
        ]
        found = [row for at, _, row in sorted(due, key=lambda each: each[:2]) if _is_before(at, stage.silent_since)]
        found = found[:limit]
        if not found:
            self._tables.stages.update(key, replace(stage, silent_since=None))
        for row in found:
            self._tables.batches.lock(row.batch_id)
            self._tables.batches.update(
                row.batch_id, replace(row, queued_at=self._now, send_attempts=row.send_attempts + 1)
            )
        ids = {row.batch_id for row in found}
        waiting = [
            row
            for row in self._tables.tasks.rows()
            if row.batch_id in ids and row.status in _WAITING and not self._is_parked(row)
        ]
        tasks = [self._write(row, replace(row, sends=row.sends + 1)) for row in waiting]
        self._events.repaired(Repair.SILENT_TASKS, messages_by_stage(tasks))
        return SilentBatches(len(found), tasks)

    def _tasks_out(self, key: StageKey) -> int:
        return sum(row.open_tasks for row in self._tables.batches_of(key) if row.status not in BATCH_ENDS)

    @staticmethod
    def _runs_or_waits_for_room(row: StageRow) -> bool:
        waits = row.status == StageStatus.DISPATCHING and row.room_after is not None
        return row.status == StageStatus.RUNNING or waits

    def _is_due(self, row: BatchRow, age_seconds: float) -> bool:
        outages = age_seconds * 2 ** min(row.send_attempts - 1, 8)
        return row.status == BatchStatus.QUEUED and self._is_old(outages, row.queued_at)

    def _is_silent(self, stage: StageRow, age_seconds: float) -> bool:
        if stage.silent_since is not None:
            return True
        batches = self._tables.batches_of(stage.key)
        if not any(self._is_due(row, age_seconds) for row in batches):
            return False
        active = (TaskStatus.PROCESSING, TaskStatus.RETRYING)
        sent = [row for row in batches if row.queued_at is not None]
        return all(self._is_old(age_seconds, row.queued_at, row.finished_at) for row in sent) and not any(
            row.stage_key == stage.key and row.status in active for row in self._tables.tasks.rows()
        )

    def _touch_tasks(self, repair: Repair, wanted: Callable[[TaskRow], bool], limit: int) -> list[LostTask]:
        lost = [
            self._write(
                row,
                replace(
                    row,
                    status=TaskStatus.RETRYING,
                    not_before=self._now,
                    lease_id=None,
                    lease_expires_at=None,
                    sends=row.sends + 1,
                ),
            )
            for row in sorted((row for row in self._tables.tasks.rows() if wanted(row)), key=_waited_until)[:limit]
        ]
        self._events.repaired(repair, messages_by_stage(lost))
        return lost

    def _told(self, repair: Repair, found: list[StageOpening]) -> list[StageOpening]:
        self._events.repaired(repair, {opening.key: 1 for opening in found})
        return found

    def _write(self, old: TaskRow, new: TaskRow) -> LostTask:
        self._tables.tasks.lock(old.task_id)
        self._tables.tasks.update(old.task_id, new)
        batch = self._tables.batches.get(new.batch_id)
        assert batch is not None
        return LostTask(new.task_id, new.batch_id, batch.lane, new.sends, self._is_urgent(batch.job_id))

    def _touch_stages(
        self, wanted: Callable[[StageRow], bool], limit: int, touch: Callable[[StageRow], StageRow] | None = None
    ) -> list[StageOpening]:
        touch = touch or (lambda row: replace(row, attended_at=self._now))
        return self._touch(
            [row for row in self._tables.stages.rows() if self._tables.is_at(row.key) and wanted(row)][:limit], touch
        )

    def _touch(self, found: Sequence[StageRow], touch: Callable[[StageRow], StageRow]) -> list[StageOpening]:
        for row in found:
            self._tables.stages.lock(row.key)
            self._tables.stages.update(row.key, touch(row))
        return [StageOpening(row.key, row.openings) for row in found]

    def _is_parked(self, task: TaskRow) -> bool:
        return self._tables.limit_waits.get(task.task_id) is not None

    def _is_processing(self, job_id: str) -> bool:
        job = self._tables.jobs.get(job_id)
        return job is not None and job.status == JobStatus.PROCESSING

    def _is_urgent(self, job_id: str) -> bool:
        job = self._tables.jobs.get(job_id)
        assert job is not None
        return job.urgent

    def _is_being_dispatched(self, batch: BatchRow) -> bool:
        stage = self._tables.stages.get(batch.stage_key)
        assert stage is not None
        expires_at = stage.dispatch_lease_expires_at
        return expires_at is not None and expires_at > self._now

    def _is_old(self, age_seconds: float, *times: datetime | None) -> bool:
        """Whether the latest of the times that are known is so long ago."""
        known = [each for each in times if each is not None]
        return bool(known) and max(known) <= self._now - timedelta(seconds=age_seconds)


def _is_before(at: datetime, since: datetime | None) -> bool:
    return since is not None and at < since


def _waited_until(row: TaskRow) -> datetime:
    until = row.lease_expires_at or row.not_before
    assert until is not None
    return until
