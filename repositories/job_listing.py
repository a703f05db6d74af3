"""The list of jobs, on PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from core.job_listing import (
    MAX_SEARCHED_BYTES,
    MAX_SEARCHED_JOBS,
    JobFilter,
    JobPlace,
    ListedJob,
    SearchedJob,
    SearchedJobs,
)
from core.pages import Page
from core.statuses import JobStatus
from repositories import queries
from repositories.ports import JobListingRepository
from repositories.ports.rows import Rows

_QUERIES = queries.load("job_listing")


class PostgresJobListingRepository(JobListingRepository):
    """Runs the queries of `sql/job_listing.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def newest(self, where: JobFilter, after: JobPlace | None, limit: int) -> Page[str]:
        values = {**_values(where, after), "limit": limit}
        found = [row["job_id"] for row in self._rows.all(_QUERIES["newest"], values)]
        return Page(found[:limit], has_more=len(found) > limit)

    @override
    def of_ids(self, job_ids: Sequence[str]) -> list[ListedJob]:
        rows = self._rows.all(_QUERIES["of_ids"], {"job_ids": list(job_ids)})
        return [ListedJob(**{**row, "status": JobStatus(row["status"])}) for row in rows]

    @override
    def searched(
        self,
        where: JobFilter,
        after: JobPlace | None,
        text: str,
        limit: int = MAX_SEARCHED_JOBS,
        max_bytes: int = MAX_SEARCHED_BYTES,
    ) -> SearchedJobs:
        values = {**_values(where, after), "text": text, "limit": limit, "max_bytes": max_bytes}
        rows = self._rows.all(_QUERIES["searched"], values)
        if not rows:
            return SearchedJobs([], None, has_more=False)
        last = JobPlace(rows[-1]["created_at"], rows[-1]["job_id"])
        matches = [
            SearchedJob(row["job_id"], row["job_type"], row["created_at"], row["parameters"])
            for row in rows
            if row["parameters"] is not None
        ]
        return SearchedJobs(matches, last, rows[-1]["has_more"])


def _values(where: JobFilter, after: JobPlace | None) -> Mapping[str, Any]:
    return {
        "job_type": where.job_type,
        "statuses": None if where.statuses is None else sorted(where.statuses),
        "created_from": where.created_from,
        "created_before": where.created_before,
        "after_at": None if after is None else after.created_at,
        "after_id": None if after is None else after.job_id,
    }
