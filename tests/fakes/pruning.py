from dataclasses import replace
from datetime import timedelta

from typing_extensions import override

from core.models import PrunedBatches
from core.statuses import BATCH_ENDS, JobStatus
from repositories.ports import PruneRepository
from tests.fakes.job_keys import delete_key
from tests.fakes.rows import DependencyRow
from tests.fakes.tables import Tables


class FakePruneRepository(PruneRepository):
    """`PruneRepository` in memory; it waits for rows that others hold, where PostgreSQL skips them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def begin(self, retention_days: int, limit: int) -> list[str]:
        old = [(row.finished_at, row) for row in self._tables.jobs.rows() if row.finished_at is not None]
        cutoff = self._now - timedelta(days=retention_days)
        live = {row.job_id for row in self._tables.batches.rows() if row.status not in BATCH_ENDS}
        awaited = {row.after_job_id for row in self._tables.job_dependencies.rows() if self._is_open(row)}
        found = [
            row
            for at, row in sorted(old, key=lambda each: each[0])
            if at <= cutoff and (row.pruned_at or row.job_id not in live) and row.job_id not in awaited
        ][:limit]
        for row in found:
            self._tables.jobs.lock(row.job_id)
            self._tables.jobs.update(row.job_id, replace(row, pruned_at=row.pruned_at or self._now))
        return [row.job_id for row in found]

    @override
    def delete_batches(self, job_id: str, limit: int) -> PrunedBatches:
        batches = [row for row in self._tables.batches.rows() if row.job_id == job_id and self._is_marked(job_id)]
        found = {row.batch_id for row in sorted(batches, key=lambda row: (row.stage, row.batch_index))[:limit]}
        tasks = [row.task_id for row in self._tables.tasks.rows() if row.batch_id in found]
        for task_id in tasks:
            self._tables.tasks.delete(task_id)
        for batch_id in sorted(found):
            self._tables.batches.delete(batch_id)
        return PrunedBatches(len(found), len(tasks))

    @override
    def delete_job(self, job_id: str) -> bool:
        if not self._is_marked(job_id) or any(row.job_id == job_id for row in self._tables.batches.rows()):
            return False
        for key in [key for key in self._tables.stages.all_keys() if key.job_id == job_id]:
            self._tables.stages.delete(key)
            self._tables.retry_parts.delete(key)
        for row in self._tables.job_events.rows():
            if row.job_id == job_id:
                self._tables.job_events.delete(row.event_id)
        self._tables.end_hooks.delete(job_id)
        self._tables.job_waits.delete(job_id)
        delete_key(self._tables, job_id)
        for pair in self._tables.job_dependencies.all_keys():
            if pair[0] == job_id:
                self._tables.job_dependencies.delete(pair)
        self._tables.jobs.delete(job_id)
        return True

    def _is_open(self, row: DependencyRow) -> bool:
        job = self._tables.jobs.get(row.job_id)
        return row.completed_at is None and job is not None and job.status == JobStatus.WAITING

    def _is_marked(self, job_id: str) -> bool:
        row = self._tables.jobs.get(job_id)
        return row is not None and row.pruned_at is not None
