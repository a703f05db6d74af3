from collections.abc import Mapping

from typing_extensions import override

from core.job_events import JobEvent, JobEventKind, Repair
from core.models import StageKey
from repositories import queries
from repositories.ports import JobEventRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import arrays

_QUERIES = queries.load("job_events")


class PostgresJobEventRepository(JobEventRepository):
    """Runs the queries of `sql/job_events.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def page(self, job_id: str, after_id: int, limit: int) -> list[JobEvent]:
        values = {"job_id": job_id, "after_id": after_id, "limit": limit}
        return [_event(row) for row in self._rows.all(_QUERIES["page"], values)]

    @override
    def repaired(self, repair: Repair, messages: Mapping[StageKey, int]) -> None:
        if messages:
            values = {**arrays(list(messages)), "messages": list(messages.values()), "repair": repair}
            self._rows.execute(_QUERIES["repaired"], values)


def _event(row: Row) -> JobEvent:
    return JobEvent(**{**row, "kind": JobEventKind(row["kind"])})
