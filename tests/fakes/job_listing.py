import json
from collections.abc import Sequence
from dataclasses import fields

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
from core.models import StageKey
from core.pages import Page
from repositories.ports import JobListingRepository
from tests.fakes.pages import cut, json_bytes
from tests.fakes.rows import JobRow, from_json
from tests.fakes.tables import Tables

_OF_JOBS = {field.name for field in fields(ListedJob)} & {field.name for field in fields(JobRow)}


class FakeJobListingRepository(JobListingRepository):
    """`JobListingRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def newest(self, where: JobFilter, after: JobPlace | None, limit: int) -> Page[str]:
        rows = self._in_order(where, after)
        return Page((row.job_id for row in rows[:limit]), has_more=len(rows) > limit)

    @override
    def of_ids(self, job_ids: Sequence[str]) -> list[ListedJob]:
        return [self._listed(row) for row in self._in_order(JobFilter(), None) if row.job_id in job_ids]

    @override
    def searched(
        self,
        where: JobFilter,
        after: JobPlace | None,
        text: str,
        limit: int = MAX_SEARCHED_JOBS,
        max_bytes: int = MAX_SEARCHED_BYTES,
    ) -> SearchedJobs:
        page = cut(self._in_order(where, after), limit, max_bytes, lambda row: json_bytes(row.parameters))
        matches = [
            SearchedJob(row.job_id, row.job_type, row.created_at, from_json(row.parameters))
            for row in page
            if _lower(text) in _lower(json.dumps(from_json(row.parameters), ensure_ascii=False))
        ]
        last = JobPlace(page[-1].created_at, page[-1].job_id) if page else None
        return SearchedJobs(matches, last, page.has_more)

    def _in_order(self, where: JobFilter, after: JobPlace | None) -> list[JobRow]:
        rows = sorted(self._tables.jobs.rows(), key=_place, reverse=True)
        return [row for row in rows if fits(row, where) and (after is None or _place(row) < _of(after))]

    def _listed(self, row: JobRow) -> ListedJob:
        stages = [each for each in self._tables.stages.rows() if each.job_id == row.job_id]
        current = self._tables.stages.get(StageKey(row.job_id, row.stage))
        counts = (current.completed_tasks, current.failed_tasks, current.cancelled_tasks) if current else ()
        return ListedJob(
            **{name: getattr(row, name) for name in _OF_JOBS},
            stage_name=current.name if current else None,
            stage_tasks=current.total_tasks if current else None,
            ended_tasks=sum(counts),
            failed_tasks=sum(each.failed_tasks for each in stages),
        )


def _place(row: JobRow) -> tuple[object, str]:
    return row.created_at, row.job_id


def _of(place: JobPlace) -> tuple[object, str]:
    return place.created_at, place.job_id


def fits(row: JobRow, where: JobFilter) -> bool:
    return (
        where.job_type in {None, row.job_type}
        and (where.statuses is None or row.status in where.statuses)
        and (where.created_from is None or row.created_at >= where.created_from)
        and (where.created_before is None or row.created_at < where.created_before)
    )


def _lower(text: str) -> str:
    """In lower case, the ASCII letters alone."""
    return "".join(each.lower() if each.isascii() else each for each in text)
