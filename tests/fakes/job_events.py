import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from typing_extensions import override

from core.job_events import JobEvent, JobEventKind, Repair
from core.models import StageKey, StageOpening
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import BATCH_ENDS, StageStatus
from repositories.ports import JobEventRepository
from tests.fakes.pages import cut, json_bytes
from tests.fakes.rows import StageRow
from tests.fakes.tables import Tables

Details = Mapping[str, Any]

_REOPENINGS = {JobEventKind.RETRIED, JobEventKind.RESUMED}


class FakeJobEventRepository(JobEventRepository):
    """`JobEventRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def page(
        self, job_id: str, after_id: int, limit: int, since: int = 0, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[JobEvent]:
        table = self._tables.job_events
        if since > self.since():
            since = 0
        rows = [row for row in table.rows() if row.job_id == job_id and row.event_id > after_id]
        rows = [row for row in rows if table.writer(row.event_id) >= since]
        return cut(rows, limit, max_bytes, lambda row: json_bytes(json.dumps(row.details)))

    @override
    def since(self) -> int:
        return self._tables.oldest_writer()

    @override
    def reopened_at(self, opening: StageOpening) -> datetime | None:
        of_opening = (*_pair(opening.key), opening.opening)
        found = [
            row.at
            for row in self._tables.job_events.rows()
            if (row.job_id, row.stage, row.opening) == of_opening and row.kind in _REOPENINGS
        ]
        return found[-1] if found else None

    @override
    def repaired(self, repair: Repair, messages: Mapping[StageKey, int]) -> None:
        for key, count in sorted(messages.items()):
            if self._tables.jobs.get(key.job_id) is not None:
                add = _adding(count)
                tell_shared(self._tables, JobEventKind.REPAIRED, key, repair, add)


def _adding(count: int) -> Callable[[Details], Details]:
    return lambda details: {"messages": details.get("messages", 0) + count}


def tell(tables: Tables, kind: JobEventKind, key: StageKey, opening: int = 0, **details: Any) -> None:
    """Writes an event of a kind that does not repeat."""
    _insert(tables, kind, key, opening, None, details)


def tell_stage_end(tables: Tables, row: StageRow) -> None:
    """Writes the event of a stage that has just ended."""
    counts = counted(row)
    if row.status != StageStatus.FINISHED:
        counts["open_batches"] = sum(batch.status not in BATCH_ENDS for batch in tables.batches_of(row.key))
    tell(tables, JobEventKind(f"stage_{row.status}"), row.key, row.openings, **counts)


def counted(row: StageRow) -> dict[str, int]:
    return {"completed": row.completed_tasks, "failed": row.failed_tasks, "cancelled": row.cancelled_tasks}


def tell_shared(
    tables: Tables, kind: JobEventKind, key: StageKey, subject: str, add: Callable[[Details], Details]
) -> None:
    """Writes an event, or adds it to that of the same opening, kind and subject."""
    stage = tables.stages.get(key)
    opening = stage.openings if stage else 0
    tables.shared_job_events.lock((key, opening, kind, subject))  # as the unique index does
    for row in tables.job_events.rows():
        if (row.job_id, row.stage, row.opening, row.kind, row.subject) == (*_pair(key), opening, kind, subject):
            tables.job_events.lock(row.event_id)
            changed = replace(row, times=row.times + 1, last_at=tables.now, details=add(row.details))
            tables.job_events.update(row.event_id, changed)
            return
    _insert(tables, kind, key, opening, str(subject), add({}))


def _insert(
    tables: Tables, kind: JobEventKind, key: StageKey, opening: int, subject: str | None, details: Details
) -> None:
    event_id = tables.next_id()
    row = JobEvent(event_id, *_pair_and_kind(key, kind), opening, subject, details, 1, tables.now, tables.now)
    assert tables.job_events.insert(event_id, row)


def _pair(key: StageKey) -> tuple[str, int]:
    return key.job_id, key.number


def _pair_and_kind(key: StageKey, kind: JobEventKind) -> tuple[str, JobEventKind, int]:
    return key.job_id, kind, key.number
