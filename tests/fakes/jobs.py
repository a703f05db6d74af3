from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from typing_extensions import override

from core.job_events import JobEventKind
from core.job_waits import JobEnd
from core.models import Job, StageKey
from core.statuses import JobStatus
from repositories.ports import JobRepository
from tests.fakes.job_events import tell
from tests.fakes.rows import JobRow, from_json, same_json
from tests.fakes.tables import Tables


class FakeJobRepository(JobRepository):
    """`JobRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def create(
        self,
        job_id: str,
        job_type: str,
        parameters: str,
        total_stages: int,
        status: JobStatus = JobStatus.PENDING_QUEUE,
        *,
        urgent: bool = False,
    ) -> bool:
        row = JobRow(job_id, job_type, parameters, total_stages, self._now, status, urgent=urgent)
        created = self._tables.jobs.insert(job_id, row)
        if created:
            tell(self._tables, JobEventKind.SUBMITTED, StageKey(job_id, 0), job_type=job_type)
        return created

    @override
    def get(self, job_id: str) -> Job | None:
        row = self._tables.jobs.get(job_id)
        if row is None:
            return None
        columns = {**vars(row)}
        del columns["queued_at"]
        decoded = {name: from_json(columns[name]) for name in ("parameters", "result", "error")}
        return Job(**{**columns, **decoded})

    @override
    def lock(self, job_id: str) -> bool:
        return self._tables.jobs.lock(job_id) is not None

    @override
    def same_submission(self, job_id: str, job_type: str, parameters: str) -> bool | None:
        row = self._tables.jobs.lock(job_id)
        return None if row is None else row.job_type == job_type and same_json(row.parameters, parameters)

    @override
    def mark_queued(self, job_id: str) -> bool:
        return self._move(job_id, {JobStatus.PENDING_QUEUE}, status=JobStatus.QUEUED, queued_at=self._now)

    @override
    def start(self, job_id: str) -> bool:
        return self._move(job_id, {JobStatus.QUEUED}, status=JobStatus.PROCESSING, stage=1, started_at=self._now)

    @override
    def advance(self, key: StageKey) -> bool:
        row = self._tables.jobs.lock(key.job_id)
        if row is None or row.stage != key.number:
            return False
        return self._move(key.job_id, {JobStatus.PROCESSING}, stage=key.number + 1)

    @override
    def finish(self, job_id: str, status: JobStatus, result: str | None, error: str | None) -> JobEnd | None:
        expected = {JobStatus.PROCESSING}
        if status in {JobStatus.FAILED, JobStatus.CANCELLED}:
            expected |= {JobStatus.PENDING_QUEUE, JobStatus.QUEUED}
        if status == JobStatus.CANCELLED:
            expected.add(JobStatus.WAITING)
        moved = self._move(job_id, expected, status=status, result=result, error=error, finished_at=self._now)
        if moved:
            details = {} if error is None else {"error": from_json(error)}
            tell(self._tables, JobEventKind(status), *self._opening(job_id), **details)
        return self._end(job_id) if moved else None

    def _end(self, job_id: str) -> JobEnd:
        awaited = (
            row.after_job_id == job_id and row.completed_at is None for row in self._tables.job_dependencies.rows()
        )
        return JobEnd(job_id in self._tables.job_keys.rows(), any(awaited))

    @override
    def reopen(self, job_id: str, expected: AbstractSet[JobStatus]) -> bool:
        row = self._tables.jobs.lock(job_id)
        if row is not None and row.pruned_at is not None:
            return False
        begun = row is not None and row.stage > 0
        waits = self._tables.job_waits.get(job_id) is not None
        anew = JobStatus.WAITING if waits else JobStatus.PENDING_QUEUE
        changes: dict[str, Any] = {"status": JobStatus.PROCESSING if begun else anew}
        if not begun:
            changes["queued_at"] = None
        moved = self._move(job_id, expected, **changes, result=None, error=None, finished_at=None)
        if moved:
            key, opening = self._opening(job_id)
            kind = JobEventKind.RESUMED if JobStatus.CANCELLED in expected else JobEventKind.RETRIED
            tell(self._tables, kind, key, opening + bool(key.number))
        return moved

    def _opening(self, job_id: str) -> tuple[StageKey, int]:
        row = self._tables.jobs.get(job_id)
        assert row is not None
        key = StageKey(job_id, row.stage)
        stage = self._tables.stages.get(key)
        return key, stage.openings if stage else 0

    def _move(self, job_id: str, expected: AbstractSet[JobStatus], **changes: Any) -> bool:
        row = self._tables.jobs.lock(job_id)
        if row is None or row.status not in expected:
            return False
        self._tables.jobs.update(job_id, replace(row, **changes))
        return True
