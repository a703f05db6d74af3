from dataclasses import replace
from datetime import datetime, timedelta

from typing_extensions import override

from core.models import PrunedBatches, StageKey
from core.statuses import BATCH_ENDS
from repositories.ports import PruneRepository
from tests.fakes.rows import BatchRow, JobRow, StageRow, TaskRow
from tests.fakes.store import Table


class FakePruneRepository(PruneRepository):
    """`PruneRepository` in memory; it waits for rows that others hold, where PostgreSQL skips them."""

    def __init__(
        self,
        jobs: Table[str, JobRow],
        stages: Table[StageKey, StageRow],
        batches: Table[str, BatchRow],
        tasks: Table[str, TaskRow],
        now: datetime,
    ) -> None:
        self._jobs = jobs
        self._stages = stages
        self._batches = batches
        self._tasks = tasks
        self._now = now

    @override
    def begin(self, retention_days: int, limit: int) -> list[str]:
        old = [(row.finished_at, row) for row in self._jobs.rows() if row.finished_at is not None]
        cutoff = self._now - timedelta(days=retention_days)
        live = {row.job_id for row in self._batches.rows() if row.status not in BATCH_ENDS}
        found = [
            row
            for at, row in sorted(old, key=lambda each: each[0])
            if at <= cutoff and (row.pruned_at or row.job_id not in live)
        ][:limit]
        for row in found:
            self._jobs.lock(row.job_id)
            self._jobs.update(row.job_id, replace(row, pruned_at=row.pruned_at or self._now))
        return [row.job_id for row in found]

    @override
    def delete_batches(self, job_id: str, limit: int) -> PrunedBatches:
        batches = [row for row in self._batches.rows() if row.job_id == job_id and self._is_marked(job_id)]
        found = {row.batch_id for row in sorted(batches, key=lambda row: (row.stage, row.batch_index))[:limit]}
        tasks = [row.task_id for row in self._tasks.rows() if row.batch_id in found]
        for task_id in tasks:
            self._tasks.delete(task_id)
        for batch_id in sorted(found):
            self._batches.delete(batch_id)
        return PrunedBatches(len(found), len(tasks))

    @override
    def delete_job(self, job_id: str) -> bool:
        if not self._is_marked(job_id) or any(row.job_id == job_id for row in self._batches.rows()):
            return False
        for key in [key for key in self._stages.all_keys() if key.job_id == job_id]:
            self._stages.delete(key)
        self._jobs.delete(job_id)
        return True

    def _is_marked(self, job_id: str) -> bool:
        row = self._jobs.get(job_id)
        return row is not None and row.pruned_at is not None
