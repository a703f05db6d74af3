from dataclasses import replace
from typing import Any

from typing_extensions import override

from core.job_events import JobEventKind
from core.job_waits import COMPLETIONS, AwaitedJob, JobWait, StartConditions
from core.models import StageKey
from core.statuses import JOB_ENDS, JobStatus
from repositories.ports import JobWaitRepository
from tests.fakes.job_events import tell
from tests.fakes.job_keys import delete_key
from tests.fakes.rows import DependencyRow, JobWaitRow
from tests.fakes.tables import Tables


class FakeJobWaitRepository(JobWaitRepository):
    """`JobWaitRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def add(self, job_id: str, conditions: StartConditions, exclusive_key: str | None) -> list[str]:
        row = JobWaitRow(job_id, self._tables.next_id(), conditions.start_at, exclusive_key)
        assert self._tables.job_waits.insert(job_id, row)
        missing = sorted(
            each for each in sorted(conditions.after) if each == job_id or not self._tables.jobs.lock(each)
        )
        for each in () if missing else conditions.after:
            completed_at = self._now if self._status(each) in COMPLETIONS else None
            self._tables.job_dependencies.insert((job_id, each), DependencyRow(job_id, each, completed_at))
        return missing

    @override
    def lock(self, job_id: str) -> JobWait | None:
        job = self._tables.jobs.get(job_id)
        if job is None or job.status != JobStatus.WAITING:
            return None
        job = self._tables.jobs.lock(job_id)
        if job is None or job.status != JobStatus.WAITING:
            return None
        for row in self._open(job_id):
            if self._status(row.after_job_id) in COMPLETIONS:
                pair = (row.job_id, row.after_job_id)
                self._tables.job_dependencies.lock(pair)
                self._tables.job_dependencies.update(pair, replace(row, completed_at=self._now))
        return self.get(job_id)

    @override
    def get(self, job_id: str) -> JobWait | None:
        job, row = self._tables.jobs.get(job_id), self._tables.job_waits.get(job_id)
        if job is None or job.status != JobStatus.WAITING or row is None:
            return None
        awaited = [AwaitedJob(each.after_job_id, self._status(each.after_job_id)) for each in self._open(job_id)]
        return JobWait(
            job_type=job.job_type,
            start_at=row.start_at,
            is_due=self._is_due(row),
            open_after=[each for each in awaited if each.status not in COMPLETIONS],
            exclusive_key=row.exclusive_key,
            key_holder=None if row.exclusive_key is None else self._tables.job_keys.get(row.exclusive_key),
        )

    @override
    def take_key(self, job_id: str, *, in_turn: bool) -> bool:
        row = self._tables.job_waits.get(job_id)
        if row is None or row.exclusive_key is None:
            return True
        if not (in_turn and self._before(row)):
            self._tables.job_keys.insert(row.exclusive_key, job_id)
        return self._tables.job_keys.get(row.exclusive_key) == job_id

    @override
    def rival(self, job_id: str) -> str | None:
        row = self._tables.job_waits.get(job_id)
        if row is None or row.exclusive_key is None:
            return None
        holder = self._tables.job_keys.get(row.exclusive_key)
        before = self._before(row)
        return holder if holder not in {None, job_id} else before[0].job_id if before else None

    @override
    def release(self, job_id: str, *, is_told: bool = True) -> None:
        job, row = self._tables.jobs.lock(job_id), self._tables.job_waits.lock(job_id)
        assert job is not None
        assert row is not None
        self._tables.jobs.update(job_id, replace(job, status=JobStatus.PENDING_QUEUE))
        self._tables.job_waits.update(job_id, replace(row, released_at=self._now))
        if is_told:
            tell(self._tables, JobEventKind.RELEASED, StageKey(job_id, 0))

    @override
    def tell(self, job_id: str) -> None:
        row = self._tables.job_waits.get(job_id)
        assert row is not None
        details: dict[str, Any] = {"exclusive": row.exclusive_key is not None}
        if row.start_at is not None:
            details["start_at"] = row.start_at.isoformat()
        if after := sum(each.job_id == job_id for each in self._tables.job_dependencies.rows()):
            details["after"] = after
        tell(self._tables, JobEventKind.WAITING, StageKey(job_id, 0), **details)

    @override
    def wait_again(self, job_id: str) -> None:
        row = self._tables.job_waits.lock(job_id)
        if row is not None:
            self._tables.job_waits.update(job_id, replace(row, start_at=None, released_at=None))

    @override
    def release_key(self, job_id: str) -> bool:
        job = self._tables.jobs.get(job_id)
        if job is not None:
            self._tables.stages.lock(StageKey(job_id, job.stage))
        return delete_key(self._tables, job_id)

    @override
    def candidates_after(self, job_id: str, limit: int) -> list[str]:
        rows = self._tables.job_dependencies.rows()
        found = {row.job_id for row in rows if row.after_job_id == job_id and row.completed_at is None}
        found = {each for each in found if self._status(each) == JobStatus.WAITING}
        mine = self._tables.job_waits.get(job_id)
        if mine is not None and mine.exclusive_key and self._tables.job_keys.get(mine.exclusive_key) is None:
            same = (row for row in self._waiting() if row.exclusive_key == mine.exclusive_key)
            found |= {row.job_id for row in [each for each in same if self._needs_only_its_key(each)][:1]}
        return sorted(found)[:limit]

    @override
    def candidates(self, after_turn: int, limit: int) -> list[tuple[int, str]]:
        found = [row for row in self._waiting() if row.turn > after_turn and self._may_go_on(row)]
        return [(row.turn, row.job_id) for row in found[:limit]]

    @override
    def release_kept_keys(self, limit: int) -> int:
        holders = sorted(self._tables.job_keys.rows())[:limit]
        return sum(delete_key(self._tables, job_id) for job_id in holders)

    def _status(self, job_id: str) -> JobStatus | None:
        job = self._tables.jobs.get(job_id)
        return None if job is None else job.status

    def _open(self, job_id: str) -> list[DependencyRow]:
        rows = self._tables.job_dependencies.rows()
        return [row for row in rows if row.job_id == job_id and row.completed_at is None]

    def _is_due(self, row: JobWaitRow) -> bool:
        return row.start_at is None or row.start_at <= self._now

    def _needs_only_its_key(self, row: JobWaitRow) -> bool:
        return self._is_due(row) and not self._open(row.job_id)

    def _waiting(self) -> list[JobWaitRow]:
        """The rows of waiting jobs, in the order of their turns."""
        rows = [row for row in self._tables.job_waits.rows() if row.released_at is None]
        rows = [row for row in rows if self._status(row.job_id) == JobStatus.WAITING]
        return sorted(rows, key=lambda row: row.turn)

    def _before(self, row: JobWaitRow) -> list[JobWaitRow]:
        """The waiting jobs with the same key and an earlier turn that need nothing else."""
        same = [each for each in self._waiting() if each.exclusive_key == row.exclusive_key and each.turn < row.turn]
        return [each for each in same if self._needs_only_its_key(each)]

    def _may_go_on(self, row: JobWaitRow) -> bool:
        statuses = [self._status(each.after_job_id) for each in self._open(row.job_id)]
        if any(status is None or status in JOB_ENDS for status in statuses):
            return True
        is_free = row.exclusive_key is None or self._tables.job_keys.get(row.exclusive_key) is None
        return not statuses and self._is_due(row) and is_free
