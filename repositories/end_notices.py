from collections.abc import Sequence

from typing_extensions import override

from core.end_notices import EndNotice
from core.statuses import JobStatus
from repositories import queries
from repositories.ports import EndNoticeRepository
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("end_notices")


class PostgresEndNoticeRepository(EndNoticeRepository):
    """Runs the queries of `sql/end_notices.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def owe(self, job_id: str) -> None:
        self._rows.execute(_QUERIES["owe"], {"job_id": job_id})

    @override
    def of_job(self, job_id: str) -> list[EndNotice]:
        return [_notice(row) for row in self._rows.all(_QUERIES["of_job"], {"job_id": job_id})]

    @override
    def overdue(self, age_seconds: float, limit: int) -> list[EndNotice]:
        rows = self._rows.all(_QUERIES["overdue"], {"age_seconds": age_seconds, "limit": limit})
        self._rows.execute(_QUERIES["touch"], {"notice_ids": [row["notice_id"] for row in rows]})
        return [_notice(row) for row in rows]

    @override
    def sent(self, notice_ids: Sequence[int]) -> None:
        self._rows.execute(_QUERIES["sent"], {"notice_ids": list(notice_ids)})


def _notice(row: Row) -> EndNotice:
    return EndNotice(**{**row, "status": JobStatus(row["status"])})
