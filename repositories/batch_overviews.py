from typing_extensions import override

from core.batch_overviews import EndedSpan, EndedTasks
from core.models import SAMPLED_UNFINISHED_BATCHES, StageKey
from core.recent_ends import FEWEST_TASKS, SAMPLED_BATCHES, EndTimes, RecentEnds
from repositories import queries
from repositories.ports import BatchOverviewRepository
from repositories.ports.rows import Rows
from repositories.stage_keys import columns

_QUERIES = queries.load("batch_overviews")


class PostgresBatchOverviewRepository(BatchOverviewRepository):
    """Runs the queries of `sql/batch_overviews.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def states(self, key: StageKey) -> str:
        return str(self._rows.one(_QUERIES["states"], columns(key))["states"])

    @override
    def ended_span(self, job_id: str) -> EndedSpan | None:
        row = self._rows.one(_QUERIES["ended_span"], {"job_id": job_id})
        return None if row["first"] is None else EndedSpan(row["first"], row["last"])

    @override
    def ended_tasks(self, job_id: str, span: EndedSpan, bucket_seconds: int) -> list[EndedTasks]:
        values = {"job_id": job_id, "first": span.first, "last": span.last, "bucket_seconds": bucket_seconds}
        return [EndedTasks(*row) for row in self._rows.tuples(_QUERIES["ended_tasks"], values)]

    @override
    def recent_ends(self, key: StageKey, times: EndTimes) -> RecentEnds:
        values = {"since": times.since, "lately": times.lately, "fewest": FEWEST_TASKS}
        values |= {"sample": SAMPLED_BATCHES, "begun": SAMPLED_UNFINISHED_BATCHES}
        return RecentEnds(**self._rows.one(_QUERIES["recent_ends"], {**columns(key), **values}))
