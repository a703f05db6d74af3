from collections import defaultdict
from datetime import datetime

from typing_extensions import override

from core.lanes import Lane
from core.statuses import BATCH_ENDS, STAGE_ENDS, TaskStatus
from repositories.ports import BacklogRepository, OldestWaiting
from tests.fakes.rows import BatchRow, TaskRow
from tests.fakes.tables import Tables


class FakeBacklogRepository(BacklogRepository):
    """`BacklogRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def oldest(self) -> list[OldestWaiting]:
        waiting = {task.batch_id for task in self._tables.tasks.rows() if self._waits(task)}
        found: defaultdict[tuple[Lane, bool, bool], list[datetime]] = defaultdict(list)
        for batch in self._tables.batches.rows():
            stage, job = self._tables.stages.get(batch.stage_key), self._tables.jobs.get(batch.job_id)
            assert stage is not None
            assert job is not None
            if batch.batch_id in waiting and batch.status not in BATCH_ENDS and stage.status not in STAGE_ENDS:
                found[batch.lane, job.urgent, batch.enveloped].append(self._since(batch))
        return [OldestWaiting(*key, (self._now - min(times)).total_seconds()) for key, times in found.items()]

    def _waits(self, task: TaskRow) -> bool:
        if task.status == TaskStatus.RETRYING:
            return task.not_before is not None and task.not_before <= self._now
        return task.status in {TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED}

    def _since(self, batch: BatchRow) -> datetime:
        return batch.created_at if batch.opening == 0 else batch.queued_at or self._now
