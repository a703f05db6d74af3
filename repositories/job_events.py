from collections.abc import Mapping
from datetime import datetime

from typing_extensions import override

from core.job_events import JobEvent, JobEventKind, Repair
from core.models import StageKey, StageOpening
from core.pages import MAX_PAGE_BYTES, Page
from repositories import queries
from repositories.found_pages import page_of
from repositories.ports import JobEventRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import arrays, columns

_QUERIES = queries.load("job_events")


class PostgresJobEventRepository(JobEventRepository):
    """Runs the queries of `sql/job_events.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def page(
        self, job_id: str, after_id: int, limit: int, since: int = 0, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[JobEvent]:
        values = {"job_id": job_id, "after_id": after_id, "limit": limit, "since": since, "max_bytes": max_bytes}
        return page_of(self._rows.all(_QUERIES["page"], values), _event)

    @override
    def since(self) -> int:
        return int(self._rows.one(_QUERIES["since"])["since"])

    @override
    def reopened_at(self, opening: StageOpening) -> datetime | None:
        values = {**columns(opening.key), "opening": opening.opening}
        row = self._rows.first(_QUERIES["reopened_at"], values)
        return None if row is None else row["at"]

    @override
    def repaired(self, repair: Repair, messages: Mapping[StageKey, int]) -> None:
        if messages:
            values = {**arrays(list(messages)), "messages": list(messages.values()), "repair": repair}
            self._rows.execute(_QUERIES["repaired"], values)


def _event(row: Row) -> JobEvent:
    return JobEvent(**{**row, "kind": JobEventKind(row["kind"])})
