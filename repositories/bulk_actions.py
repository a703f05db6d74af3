"""Bulk actions, on PostgreSQL."""

from typing import Any

from typing_extensions import override

from core.bulk_actions import MOST_REASONS, BulkAction, BulkKind, JobRefusal
from core.job_listing import JobFilter, JobPlace
from core.pages import Page
from core.statuses import JobStatus
from repositories import queries
from repositories.found_pages import page_of
from repositories.ports import BulkActionRepository
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("bulk_actions")


class PostgresBulkActionRepository(BulkActionRepository):
    """Runs the queries of `sql/bulk_actions.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def count(self, where: JobFilter) -> int:
        return int(self._rows.one(_QUERIES["count"], _values(where))["matched"])

    @override
    def create(self, action_id: str, kind: BulkKind, where: JobFilter) -> None:
        values = {**_values(where), "matched": self.count(where)}
        self._rows.execute(_QUERIES["create"], {**values, "action_id": action_id, "kind": kind})

    @override
    def get(self, action_id: str) -> BulkAction | None:
        row = self._rows.first(_QUERIES["get"], {"action_id": action_id})
        return None if row is None else _action(row)

    @override
    def newest(self, after: str | None, limit: int) -> Page[BulkAction]:
        return page_of(self._rows.all(_QUERIES["newest"], {"after_action": after, "limit": limit}), _action)

    @override
    def take(self, lease_id: str, lease_seconds: float, action_id: str | None = None) -> BulkAction | None:
        values = {"lease_id": lease_id, "lease_seconds": lease_seconds, "action_id": action_id}
        row = self._rows.first(_QUERIES["take"], values)
        return None if row is None else _action(row)

    @override
    def renew(self, action_id: str, lease_id: str, lease_seconds: float) -> bool:
        return self._changed("renew", action_id, lease_id, lease_seconds=lease_seconds)

    @override
    def record(self, action_id: str, lease_id: str, place: JobPlace, reason: str | None, lease_seconds: float) -> bool:
        values: dict[str, Any] = {"after_at": place.created_at, "after_id": place.job_id, "reason": reason}
        values |= {"most_reasons": MOST_REASONS, "lease_seconds": lease_seconds}
        return self._changed("record", action_id, lease_id, **values)

    @override
    def finish(self, action_id: str, lease_id: str) -> bool:
        return self._changed("finish", action_id, lease_id)

    @override
    def release(self, action_id: str, lease_id: str) -> None:
        self._changed("release", action_id, lease_id)

    @override
    def mark_for_deletion(self, job_id: str, age_seconds: float) -> bool:
        values = {"job_id": job_id, "age_seconds": age_seconds}
        return self._rows.execute(_QUERIES["mark_for_deletion"], values) == 1

    def _changed(self, query: str, action_id: str, lease_id: str, **values: Any) -> bool:
        return self._rows.execute(_QUERIES[query], {"action_id": action_id, "lease_id": lease_id, **values}) == 1


def _values(where: JobFilter) -> dict[str, Any]:
    return {
        "job_type": where.job_type,
        "statuses": sorted(where.statuses or ()),
        "created_from": where.created_from,
        "created_before": where.created_before,
    }


def _action(row: Row) -> BulkAction:
    columns = dict(row)
    statuses = frozenset(map(JobStatus, columns.pop("statuses")))
    where = JobFilter(columns.pop("job_type"), statuses, columns.pop("created_from"), columns.pop("created_before"))
    after_at, after_id = columns.pop("after_at"), columns.pop("after_id")
    after = None if after_at is None else JobPlace(after_at, after_id)
    kind, failures = BulkKind(columns.pop("kind")), [JobRefusal(**each) for each in columns.pop("failures")]
    return BulkAction(**columns, kind=kind, where=where, failures=failures, after=after)
