import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import override

from core.checkpoints import Checkpoint, Fold
from core.job_events import JobEventKind
from core.models import (
    MOST_COUNTED_TASKS,
    Job,
    Stage,
    StageCounts,
    StageKey,
    StageOpening,
    StageProgress,
)
from core.statuses import BATCH_ENDS, STAGE_ENDS, STAGE_STOPS, BatchStatus, StageStatus, TaskStatus
from repositories.ports import StageRepository
from tests.fakes.job_events import counted, tell, tell_stage_end
from tests.fakes.job_keys import delete_key
from tests.fakes.jobs import FakeJobRepository
from tests.fakes.pages import cut, json_bytes
from tests.fakes.rows import StageRow, from_json
from tests.fakes.tables import Tables

_LIVE = (StageStatus.DISPATCHING, StageStatus.RUNNING)
_NO_LEASE: dict[str, Any] = {"dispatch_lease_id": None, "dispatch_lease_expires_at": None}


class FakeStageRepository(StageRepository):
    """`StageRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def create(self, key: StageKey, name: str, max_failed_fraction: float) -> bool:
        created = self._tables.stages.insert(
            key, StageRow(key.job_id, key.number, name, max_failed_fraction, self._now)
        )
        if created and self._tables.jobs.get(key.job_id) is None:
            raise self._tables.stages.violation("stages_job_id_fkey")
        if created:
            tell(self._tables, JobEventKind.STAGE_STARTED, key, name=name)
        return created

    @override
    def start_job(
        self, key: StageKey, name: str, max_failed_fraction: float, lease_id: str, lease_seconds: float
    ) -> Stage | None:
        jobs = FakeJobRepository(self._tables)
        jobs.mark_queued(key.job_id)
        if not jobs.start(key.job_id):
            return None
        self.create(key, name, max_failed_fraction)
        self.acquire_dispatch_lease(key, lease_id, lease_seconds)
        return self.get(key)

    @override
    def with_job(self, key: StageKey) -> tuple[Job, Stage | None] | None:
        job = FakeJobRepository(self._tables).get(key.job_id)
        return None if job is None else (job, self.get(key))

    @override
    def get(self, key: StageKey) -> Stage | None:
        row = self._tables.stages.get(key)
        return None if row is None else _stage(row)

    @override
    def of_job(self, job_id: str) -> list[Stage]:
        return [replace(_stage(row), result=None) for row in self._tables.stages.rows() if row.job_id == job_id]

    @override
    def results_of_job(self, job_id: str, after_stage: int = 0, max_bytes: int | None = None) -> dict[int, Any]:
        rows = [row for row in self._tables.stages.rows() if row.job_id == job_id and row.number > after_stage]
        if max_bytes is not None:
            rows = cut(rows, len(rows), max_bytes, lambda row: json_bytes(row.result))
        return {row.number: from_json(row.result) for row in rows}

    @override
    def counts(self, key: StageKey, most_tasks: int = MOST_COUNTED_TASKS) -> StageCounts:
        batches = self._tables.batches_of(key)
        statuses = [row.status for row in self._tables.tasks.rows() if row.stage_key == key]
        ended = sum(row.task_count - row.open_tasks for row in batches)
        failed = sum(row.failed_tasks for row in batches)
        cancelled = sum(row.cancelled_tasks for row in batches)
        return StageCounts(
            batches=len(batches),
            batches_queued=sum(row.queued_at is not None for row in batches),
            tasks=sum(row.task_count for row in batches),
            pending_queue=sum(row.open_tasks for row in batches if row.status == BatchStatus.PENDING_QUEUE),
            processing=statuses.count(TaskStatus.PROCESSING),
            retrying=statuses.count(TaskStatus.RETRYING),
            completed=ended - failed - cancelled,
            failed=failed,
            cancelled=cancelled,
            are_estimates=sum(row.task_count for row in batches if row.status not in BATCH_ENDS) > most_tasks,
        )

    @override
    def acquire_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        row = self._tables.stages.get(key)
        if row is not None and self._may_be_taken(row):
            row = self._tables.stages.lock_for_update(key)
        if row is None or not self._may_be_taken(row):
            return False
        until = self._now + timedelta(seconds=lease_seconds)
        self._update(row, dispatch_lease_id=lease_id, dispatch_lease_expires_at=until, room_after=None)
        return True

    @override
    def renew_dispatch_lease(self, key: StageKey, lease_id: str, lease_seconds: float) -> bool:
        row = self._tables.stages.lock(key)
        if row is None or row.status != StageStatus.DISPATCHING or row.dispatch_lease_id != lease_id:
            return False
        self._update(row, dispatch_lease_expires_at=self._now + timedelta(seconds=lease_seconds))
        return True

    @override
    def dispatch_lease_expires_at(self, key: StageKey) -> datetime | None:
        row = self._tables.stages.get(key)
        dispatching = row is not None and row.status == StageStatus.DISPATCHING
        return row.dispatch_lease_expires_at if row and dispatching else None

    @override
    def release_dispatch_lease(self, key: StageKey, lease_id: str) -> None:
        row = self._tables.stages.lock(key)
        if row is not None and row.dispatch_lease_id == lease_id:
            self._update(row, **_NO_LEASE, attended_at=self._now)

    @override
    def record_checkpoint(self, key: StageKey, lease_id: str, checkpoint: Checkpoint) -> bool:
        cursor = checkpoint.encoded_cursor
        row = self._dispatched(key, lease_id)
        if row is None or row.checkpoint_tasks >= checkpoint.tasks:
            return False
        point = {"checkpoint_tasks": checkpoint.tasks, "checkpoint_batches": checkpoint.batches}
        self._update(row, **point, checkpoint_cursor=cursor)
        return True

    @override
    def record_idle_slices(self, key: StageKey, lease_id: str, idle_slices: int) -> bool:
        row = self._dispatched(key, lease_id)
        if row is None:
            return False
        self._update(row, idle_slices=idle_slices)
        return True

    def _dispatched(self, key: StageKey, lease_id: str) -> StageRow | None:
        row = self._tables.stages.lock(key)
        held = row is not None and row.status == StageStatus.DISPATCHING and row.dispatch_lease_id == lease_id
        return row if held else None

    @override
    def wait_for_room(self, key: StageKey, lease_id: str, low: int) -> bool:
        row = self._dispatched(key, lease_id)
        live = [batch for batch in self._tables.batches_of(key) if batch.status not in BATCH_ENDS]
        out = sum(batch.open_tasks for batch in live)
        if row is None or out <= low:
            return False
        room_after = row.finished_batches + math.ceil(len(live) * (out - low) / out)
        self._update(row, **_NO_LEASE, attended_at=self._now, room_after=room_after)
        return True

    @override
    def waiting_with_room(self, keys: Sequence[StageKey]) -> list[StageOpening]:
        rows = [row for key in keys if (row := self._tables.stages.get(key)) and self._tables.is_at(key)]
        return [
            StageOpening(row.key, row.openings)
            for row in rows
            if row.status == StageStatus.DISPATCHING and _has_room(row)
        ]

    @override
    def finish_dispatch(self, key: StageKey, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        row = self._tables.stages.lock(key)
        if row is None or row.status != StageStatus.DISPATCHING or row.dispatch_lease_id != lease_id:
            return False
        self._update(row, status=StageStatus.RUNNING, total_tasks=total_tasks, total_batches=total_batches, **_NO_LEASE)
        totals = {"tasks": total_tasks, "batches": total_batches}
        tell(self._tables, JobEventKind.STAGE_DISPATCHED, key, row.openings, **totals)
        return True

    @override
    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageProgress]:
        found = [self._tables.batches.get(batch_id) for batch_id in sorted(set(batch_ids))]
        batches = [batch for batch in found if batch is not None]
        keys = sorted({batch.stage_key for batch in batches})
        stages: list[StageProgress] = []
        for key in keys:
            row = self._tables.stages.lock(key)
            assert row is not None, "a foreign key keeps the stage of a batch"
            done = [batch for batch in batches if batch.stage_key == key]
            unsuccessful = sum(batch.failed_tasks + batch.cancelled_tasks for batch in done)
            finished = row.finished_batches + len(done)
            reaches = row.room_after is not None and row.finished_batches < row.room_after <= finished
            failed = row.failed_tasks + sum(batch.failed_tasks for batch in done)
            self._update(
                row,
                finished_batches=finished,
                attended_at=self._now if reaches else row.attended_at,
                completed_tasks=row.completed_tasks + sum(batch.task_count for batch in done) - unsuccessful,
                failed_tasks=failed,
                cancelled_tasks=row.cancelled_tasks + sum(batch.cancelled_tasks for batch in done),
            )
            has_room = reaches and row.status == StageStatus.DISPATCHING
            may_end = failed > 0 or finished == row.total_batches
            stages.append(StageProgress(StageOpening(key, row.openings), has_room, may_end))
            self._tell_tasks_ended(key)
        return stages

    def _tell_tasks_ended(self, key: StageKey) -> None:
        row = self._tables.stages.get(key)
        assert row is not None
        if row.status in STAGE_STOPS and all(batch.status in BATCH_ENDS for batch in self._tables.batches_of(key)):
            tell(self._tables, JobEventKind.TASKS_ENDED, key, row.openings, **counted(row))
            delete_key(self._tables, key.job_id)

    @override
    def finish_if_complete(self, key: StageKey) -> bool:
        row = self._tables.stages.lock(key)
        if row is None or row.status not in _LIVE:
            return False
        complete = row.status == StageStatus.RUNNING and row.finished_batches == row.total_batches
        counting = row.failed_tasks - (0 if complete else row.kept_failed_tasks or 0)
        too_many = counting / max(row.total_tasks or 0, 1) > row.max_failed_fraction
        if row.status == StageStatus.DISPATCHING:
            too_many = row.openings == 0 and row.failed_tasks > 0 and row.max_failed_fraction == 0
        if not too_many and not complete:
            return False
        status = StageStatus.FAILED if too_many else StageStatus.FINISHED
        self._end(row, status)
        return True

    @override
    def record_result(self, key: StageKey, result: str) -> None:
        row = self._tables.stages.lock(key)
        if row is not None and row.status == StageStatus.FINISHED:
            self._update(row, result=result, folded_state=None)

    @override
    def fold(self, key: StageKey) -> Fold:
        row = self._tables.stages.get(key)
        return Fold() if row is None else Fold(row.folded_tasks, from_json(row.folded_state))

    @override
    def record_fold(self, stage: Stage, tasks_before: int, tasks: int, state: str) -> bool:
        row = self._tables.stages.lock(stage.key)
        if row is None or row.status != StageStatus.FINISHED or row.openings != stage.openings:
            return False
        if row.folded_tasks != tasks_before:
            return False
        self._update(row, folded_tasks=tasks, folded_state=state, attended_at=self._now)
        return True

    @override
    def stop(self, key: StageKey, status: StageStatus) -> bool:
        row = self._tables.stages.lock(key)
        if row is None or row.status not in _LIVE:
            return False
        self._end(row, status)
        return True

    @override
    def reopen(self, key: StageKey, *, failed_too: bool) -> bool:
        row = self._tables.stages.lock(key)
        if row is None or row.status not in STAGE_ENDS:
            return False
        self._update(
            row,
            status=StageStatus.DISPATCHING,
            openings=row.openings + 1,
            reopens_failed=failed_too,
            finished_at=None,
            result=None,
            silent_since=None,
            idle_slices=0,
            room_after=None,
            folded_tasks=0,
            folded_state=None,
            kept_failed_tasks=None if failed_too else row.kept_failed_tasks,
        )
        return True

    @override
    def count_opening(self, key: StageKey) -> bool:
        row = self._tables.stages.lock(key)
        if row is None or row.status != StageStatus.FINISHED:
            return False
        self._update(row, openings=row.openings + 1)
        return True

    @override
    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageOpening]:
        rows = [row for key in keys if (row := self._tables.stages.get(key)) and self._tables.is_at(key)]
        ended = {StageStatus.FINISHED, StageStatus.FAILED}
        return [StageOpening(row.key, row.openings) for row in rows if row.status in ended]

    def _end(self, row: StageRow, status: StageStatus) -> None:
        ended = replace(row, status=status, finished_at=self._now, **_NO_LEASE)
        self._tables.stages.update(row.key, ended)
        tell_stage_end(self._tables, ended)

    def _may_be_taken(self, row: StageRow) -> bool:
        expires_at = row.dispatch_lease_expires_at
        return row.status == StageStatus.DISPATCHING and (expires_at is None or expires_at <= self._now)

    def _update(self, row: StageRow, **changes: Any) -> None:
        self._tables.stages.update(row.key, replace(row, **changes))


def _has_room(row: StageRow) -> bool:
    return row.room_after is not None and row.finished_batches >= row.room_after


def _stage(row: StageRow) -> Stage:
    columns = {**vars(row)}
    del columns["dispatch_lease_id"], columns["dispatch_lease_expires_at"], columns["attended_at"]
    del columns["silent_since"], columns["reopens_failed"]
    del columns["checkpoint_tasks"], columns["checkpoint_batches"], columns["checkpoint_cursor"]
    del columns["folded_tasks"], columns["folded_state"], columns["kept_failed_tasks"]
    checkpoint = Checkpoint(row.checkpoint_tasks, row.checkpoint_batches, from_json(row.checkpoint_cursor))
    return Stage(**{**columns, "result": from_json(row.result), "checkpoint": checkpoint})
