from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from typing_extensions import override

from core.bulk_actions import MOST_REASONS, BulkAction, BulkKind, JobRefusal
from core.job_listing import JobFilter, JobPlace
from core.pages import Page
from core.statuses import BATCH_ENDS, JOB_ENDS, JobStatus
from repositories.ports import BulkActionRepository
from tests.fakes.job_listing import fits
from tests.fakes.table import Table
from tests.fakes.tables import Tables


@dataclass(frozen=True)
class BulkActionRow:
    action: BulkAction
    lease_id: str | None = None
    lease_expires_at: datetime | None = None


class FakeBulkActionRepository(BulkActionRepository):
    """`BulkActionRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._actions: Table[str, BulkActionRow] = tables.bulk_actions
        self._now = tables.now

    @override
    def count(self, where: JobFilter) -> int:
        return sum(fits(row, self._until_now(where)) for row in self._tables.jobs.rows())

    @override
    def create(self, action_id: str, kind: BulkKind, where: JobFilter) -> None:
        old = self._now - timedelta(days=30)
        for row in self._actions.rows():
            if row.action.finished_at is not None and row.action.finished_at < old:
                self._actions.delete(row.action.action_id)
        action = BulkAction(
            *(action_id, kind, self._until_now(where), self.count(where), 0, 0, [], None), self._now, finished_at=None
        )
        self._actions.insert(action_id, BulkActionRow(action))

    @override
    def get(self, action_id: str) -> BulkAction | None:
        row = self._actions.get(action_id)
        return None if row is None else row.action

    @override
    def newest(self, after: str | None, limit: int) -> Page[BulkAction]:
        rows = sorted((row.action for row in self._actions.rows()), key=_newness, reverse=True)
        if after is not None:
            known = self._actions.get(after)
            rows = [action for action in rows if known is not None and _newness(action) < _newness(known.action)]
        return Page((replace(action, failures=[]) for action in rows[:limit]), has_more=len(rows) > limit)

    @override
    def take(self, lease_id: str, lease_seconds: float, action_id: str | None = None) -> BulkAction | None:
        free = [row.action for row in self._actions.rows() if self._is_free(row) and action_id in {None, _id(row)}]
        if not free:
            return None
        oldest = min(free, key=lambda action: action.created_at)
        self._actions.lock(oldest.action_id)
        self._actions.update(oldest.action_id, BulkActionRow(oldest, lease_id, self._after(lease_seconds)))
        return oldest

    @override
    def renew(self, action_id: str, lease_id: str, lease_seconds: float) -> bool:
        row = self._held(action_id, lease_id)
        if row is not None:
            self._actions.update(action_id, replace(row, lease_expires_at=self._after(lease_seconds)))
        return row is not None

    @override
    def record(self, action_id: str, lease_id: str, place: JobPlace, reason: str | None, lease_seconds: float) -> bool:
        row = self._held(action_id, lease_id)
        if row is None:
            return False
        action = replace(row.action, after=place)
        if reason is None:
            action = replace(action, done=action.done + 1)
        else:
            failures = [*action.failures, JobRefusal(place.job_id, reason)][:MOST_REASONS]
            action = replace(action, failed=action.failed + 1, failures=failures)
        self._actions.update(action_id, BulkActionRow(action, lease_id, self._after(lease_seconds)))
        return True

    @override
    def finish(self, action_id: str, lease_id: str) -> bool:
        row = self._held(action_id, lease_id)
        if row is not None:
            self._actions.update(action_id, BulkActionRow(replace(row.action, finished_at=self._now)))
        return row is not None

    @override
    def release(self, action_id: str, lease_id: str) -> None:
        row = self._held(action_id, lease_id)
        if row is not None:
            self._actions.update(action_id, BulkActionRow(row.action))

    @override
    def mark_for_deletion(self, job_id: str, age_seconds: float) -> bool:
        row = self._tables.jobs.lock(job_id)
        if row is None or row.status not in JOB_ENDS or row.finished_at is None:
            return False
        is_live = any(each.job_id == job_id and each.status not in BATCH_ENDS for each in self._tables.batches.rows())
        hook = self._tables.end_hooks.get(job_id)
        is_owed = hook is not None and hook.ended_at == row.finished_at
        if is_live or is_owed or self._is_awaited(job_id) or row.finished_at > self._after(-age_seconds):
            return False
        if row.pruned_at is None:
            self._tables.jobs.update(job_id, replace(row, pruned_at=self._now))
        return True

    def _is_awaited(self, job_id: str) -> bool:
        waiting = {row.job_id for row in self._tables.jobs.rows() if row.status == JobStatus.WAITING}
        return any(
            row.after_job_id == job_id and row.completed_at is None and row.job_id in waiting
            for row in self._tables.job_dependencies.rows()
        )

    def _held(self, action_id: str, lease_id: str) -> BulkActionRow | None:
        row = self._actions.lock(action_id)
        return row if row is not None and row.lease_id == lease_id and row.action.finished_at is None else None

    def _is_free(self, row: BulkActionRow) -> bool:
        expires_at = row.lease_expires_at
        return row.action.finished_at is None and (expires_at is None or expires_at <= self._now)

    def _until_now(self, where: JobFilter) -> JobFilter:
        return replace(where, created_before=min(where.created_before or self._now, self._now))

    def _after(self, seconds: float) -> datetime:
        return self._now + timedelta(seconds=seconds)


def _newness(action: BulkAction) -> tuple[datetime, str]:
    return action.created_at, action.action_id


def _id(row: BulkActionRow) -> str:
    return row.action.action_id
