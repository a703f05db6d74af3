from collections.abc import Sequence

from typing_extensions import override

from core.lanes import Lane
from core.models import Batch, PendingBatch, Resend, StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import BatchDelta
from repositories import queries
from repositories.found_pages import page_of
from repositories.ports import BatchRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import columns
from repositories.tasks import PostgresTaskRepository

_QUERIES = queries.load("batches")


class PostgresBatchRepository(BatchRepository):
    """Runs the queries of `sql/batches.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def get(self, batch_id: str) -> Batch | None:
        row = self._rows.first(_QUERIES["get"], {"batch_id": batch_id})
        return None if row is None else _batch(row)

    @override
    def page(self, key: StageKey, after_index: int, limit: int) -> list[Batch]:
        values = {**columns(key), "after_index": after_index, "limit": limit}
        return [_batch(row) for row in self._rows.all(_QUERIES["page"], values)]

    @override
    def page_of_job(
        self, job_id: str, after: tuple[int, int], limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[Batch]:
        values = {
            "job_id": job_id,
            "after_stage": after[0],
            "after_index": after[1],
            "limit": limit,
            "max_bytes": max_bytes,
        }
        return page_of(self._rows.all(_QUERIES["page_of_job"], values), _batch)

    @override
    def pending_of_stage(self, key: StageKey, after_index: int, limit: int) -> list[PendingBatch]:
        values = {**columns(key), "after_index": after_index, "limit": limit}
        rows = self._rows.all(_QUERIES["pending_of_stage"], values)
        return [PendingBatch(**{**row, "lane": Lane(row["lane"])}) for row in rows]

    @override
    def mark_queued(self, batch_id: str, send_attempt: int, *, enveloped: bool = False) -> bool:
        if not enveloped:
            tasks = PostgresTaskRepository(self._rows)
            # Tasks first, then their batch: a worker that records outcomes takes the locks in the same order.
            tasks.batch_update_status(batch_id, TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED, send_attempt)
        values = {"batch_id": batch_id, "send_attempt": send_attempt}
        return self._rows.execute(_QUERIES["mark_queued"], values) == 1

    @override
    def begin_resend(self, batch_id: str) -> Resend | None:
        sends = PostgresTaskRepository(self._rows).begin_resend(batch_id)
        row = self._rows.first(_QUERIES["begin_resend"], {"batch_id": batch_id})
        return None if row is None else Resend(row["send_attempts"], sends, row["enveloped"])

    @override
    def record_send_error(self, batch_id: str, error: str) -> None:
        self._rows.execute(_QUERIES["record_send_error"], {"batch_id": batch_id, "error": error})

    @override
    def apply_outcomes(self, deltas: Sequence[BatchDelta]) -> list[str]:
        values = {
            "batch_ids": [delta.batch_id for delta in deltas],
            "ended": [delta.completed + delta.failed + delta.cancelled for delta in deltas],
            "failed": [delta.failed for delta in deltas],
            "cancelled": [delta.cancelled for delta in deltas],
        }
        rows = self._rows.all(_QUERIES["apply_outcomes"], values)
        return [row["batch_id"] for row in rows if row["has_ended"]]


def _batch(row: Row) -> Batch:
    return Batch(**{**row, "lane": Lane(row["lane"]), "status": BatchStatus(row["status"])})
