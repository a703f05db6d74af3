"""Deletes jobs that ended long ago, on PostgreSQL."""

from typing_extensions import override

from core.models import PrunedBatches
from repositories import queries
from repositories.ports import PruneRepository
from repositories.ports.rows import Rows

_QUERIES = queries.load("pruning")


class PostgresPruneRepository(PruneRepository):
    """Runs the queries of `sql/pruning.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def begin(self, retention_days: int, limit: int) -> list[str]:
        job_ids = self._column("jobs_to_prune", "job_id", retention_days=retention_days, limit=limit)
        self._rows.execute(_QUERIES["begin"], {"job_ids": job_ids})
        return job_ids

    @override
    def delete_batches(self, job_id: str, limit: int) -> PrunedBatches:
        found = self._column("batches_to_prune", "batch_id", job_id=job_id, limit=limit)
        task_ids = self._column("lock_tasks", "task_id", batch_ids=found)
        tasks = self._rows.execute(_QUERIES["delete_tasks"], {"task_ids": task_ids})
        batch_ids = self._column("lock_batches", "batch_id", batch_ids=found)
        batches = self._rows.execute(_QUERIES["delete_batches"], {"batch_ids": batch_ids})
        return PrunedBatches(batches, tasks)

    @override
    def delete_job(self, job_id: str) -> bool:
        stages = self._column("lock_stages", "stage", job_id=job_id)
        self._rows.execute(_QUERIES["delete_stages"], {"job_id": job_id, "stages": stages})
        if not self._column("lock_job", "job_id", job_id=job_id):
            return False
        return self._rows.execute(_QUERIES["delete_job"], {"job_id": job_id}) == 1

    def _column(self, query: str, column: str, **values: object) -> list[str]:
        return [row[column] for row in self._rows.all(_QUERIES[query], values)]
