from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from typing_extensions import override

from core.end_notices import EndNotice
from repositories.ports import EndNoticeRepository
from tests.fakes.tables import Tables


@dataclass(frozen=True)
class EndNoticeRow:
    notice: EndNotice
    due_at: datetime


class FakeEndNoticeRepository(EndNoticeRepository):
    """`EndNoticeRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._notices = tables.end_notices
        self._now = tables.now

    @override
    def owe(self, job_id: str) -> None:
        job = self._tables.jobs.get(job_id)
        known = {(row.notice.job_id, row.notice.ended_at) for row in self._notices.rows()}
        if job is None or job.finished_at is None or (job_id, job.finished_at) in known:
            return
        stages = [stage for stage in self._tables.stages.rows() if stage.job_id == job_id]
        notice = EndNotice(
            len(self._notices.rows()) + 1,
            job_id,
            job.job_type,
            job.status,
            job.stage,
            next((stage.openings for stage in stages if stage.number == job.stage), 0),
            sum(stage.completed_tasks for stage in stages),
            sum(stage.failed_tasks for stage in stages),
            sum(stage.cancelled_tasks for stage in stages),
            job.finished_at,
        )
        while not self._notices.insert(notice.notice_id, EndNoticeRow(notice, self._now)):
            notice = replace(notice, notice_id=notice.notice_id + 1)

    @override
    def of_job(self, job_id: str) -> list[EndNotice]:
        return [row.notice for row in self._notices.rows() if row.notice.job_id == job_id]

    @override
    def overdue(self, age_seconds: float, limit: int) -> list[EndNotice]:
        latest = self._now - timedelta(seconds=age_seconds)
        keys = [row.notice.notice_id for row in sorted(self._notices.rows(), key=lambda row: row.due_at)]
        found = self._notices.lock_free(keys, lambda row: row.due_at <= latest)[:limit]
        for row in found:
            self._notices.update(row.notice.notice_id, replace(row, due_at=self._now))
        return [row.notice for row in found]

    @override
    def sent(self, notice_ids: Sequence[int]) -> None:
        for row in self._notices.lock_those(notice_ids):
            self._notices.delete(row.notice.notice_id)
