from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import override

from core.end_hooks import HookTry
from core.job_events import JobEventKind
from core.models import StageKey, StageOpening
from core.statuses import BATCH_ENDS
from repositories.ports import EndHookRepository
from tests.fakes.job_events import tell, tell_shared
from tests.fakes.rows import JobRow, from_json
from tests.fakes.tables import Tables


@dataclass(frozen=True)
class EndHookRow:
    job_id: str
    ended_at: datetime
    due_at: datetime
    tries: int = 0


class FakeEndHookRepository(EndHookRepository):
    """`EndHookRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._hooks = tables.end_hooks
        self._now = tables.now

    @override
    def owe(self, job_id: str) -> None:
        job = self._tables.jobs.get(job_id)
        if job is not None and job.finished_at is not None:
            self._hooks.lock(job_id)
            self._hooks.update(job_id, EndHookRow(job_id, job.finished_at, self._now))

    @override
    def begin(self, job_id: str, seconds: float) -> HookTry | None:
        row = self._hooks.lock(job_id)
        if row is None or not self._is_owed(row) or row.due_at > self._now:
            return None
        key, _ = self._place(job_id)
        if any(batch.status not in BATCH_ENDS for batch in self._tables.batches_of(key)):
            return None
        begun = replace(row, tries=row.tries + 1, due_at=self._now + timedelta(seconds=seconds))
        self._hooks.update(job_id, begun)
        return HookTry(job_id, begun.ended_at, begun.tries)

    @override
    def succeed(self, attempt: HookTry) -> bool:
        if self._held(attempt) is None:
            return False
        self._hooks.delete(attempt.job_id)
        tell(self._tables, JobEventKind.END_HOOK_RAN, *self._place(attempt.job_id), tries=attempt.tries)
        return True

    @override
    def fail(self, attempt: HookTry, error: str, delay_seconds: float) -> datetime | None:
        row = self._held(attempt)
        if row is None:
            return None
        due_at = self._now + timedelta(seconds=delay_seconds)
        self._hooks.update(attempt.job_id, replace(row, due_at=due_at))
        self._tell_failure(attempt.job_id, error, given_up=False)
        return due_at

    @override
    def give_up(self, attempt: HookTry, error: str) -> bool:
        if self._held(attempt) is None:
            return False
        self._hooks.delete(attempt.job_id)
        self._tell_failure(attempt.job_id, error, given_up=True)
        return True

    @override
    def overdue(self, age_seconds: float, limit: int) -> list[StageOpening]:
        latest = self._now - timedelta(seconds=age_seconds)
        found = [row for row in self._hooks.rows() if self._is_owed(row) and row.due_at <= latest]
        found = sorted(found, key=lambda row: row.due_at)[:limit]
        for row in found:
            self._hooks.lock(row.job_id)
            self._hooks.update(row.job_id, replace(row, due_at=self._now))
        places = [self._place(row.job_id) for row in found]
        return [StageOpening(StageKey(key.job_id, max(key.number, 1)), opening) for key, opening in places]

    def _held(self, attempt: HookTry) -> EndHookRow | None:
        row = self._hooks.lock(attempt.job_id)
        held = row is not None and (row.ended_at, row.tries) == (attempt.ended_at, attempt.tries)
        return row if held else None

    def _is_owed(self, row: EndHookRow) -> bool:
        return self._job(row.job_id).finished_at == row.ended_at

    def _job(self, job_id: str) -> JobRow:
        job = self._tables.jobs.get(job_id)
        assert job is not None, "a foreign key keeps the job of a hook"
        return job

    def _place(self, job_id: str) -> tuple[StageKey, int]:
        """The stage at which a job stands, and its opening."""
        key = StageKey(job_id, self._job(job_id).stage)
        stage = self._tables.stages.get(key)
        return key, stage.openings if stage else 0

    def _tell_failure(self, job_id: str, error: str, *, given_up: bool) -> None:
        details: dict[str, Any] = {"error": from_json(error), "given_up": given_up}
        key, _ = self._place(job_id)
        tell_shared(self._tables, JobEventKind.END_HOOK_FAILED, key, "job_ended", lambda _: details)
