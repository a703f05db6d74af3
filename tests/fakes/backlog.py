from collections import defaultdict
from datetime import datetime

from typing_extensions import override

from core.backlog import MOST_DEAD_LETTERS, BacklogNumbers
from core.lanes import Lane
from core.models import StageKey
from core.statuses import BATCH_ENDS, DEAD_LETTER_ENDS, STAGE_ENDS, BatchStatus, TaskStatus
from repositories.ports import BacklogRepository, OldestWaiting
from repositories.ports.backlog import MOST_TRIED_BATCHES
from tests.fakes.rows import BatchRow, TaskRow
from tests.fakes.tables import Tables


class FakeBacklogRepository(BacklogRepository):
    """`BacklogRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._now = tables.now

    @override
    def numbers(self) -> BacklogNumbers:
        live = [batch for batch in self._tables.batches.rows() if batch.status not in BATCH_ENDS]
        pending = [batch for batch in live if batch.status == BatchStatus.PENDING_QUEUE]
        letters = self._tables.dead_letters.rows()[-MOST_DEAD_LETTERS:]
        return BacklogNumbers(
            pending_batches=len(pending),
            queued_batches=len(live) - len(pending),
            oldest_pending_seconds=max(
                ((self._now - self._since(each)).total_seconds() for each in pending), default=0.0
            ),
            dead_letters=sum(letter.state not in DEAD_LETTER_ENDS for letter in letters),
        )

    @override
    def oldest(self, most_tried: int = MOST_TRIED_BATCHES) -> list[OldestWaiting]:
        waiting = {task.batch_id for task in self._tables.tasks.rows() if self._waits(task)}
        found: defaultdict[tuple[Lane, bool, bool], list[datetime]] = defaultdict(list)
        for batches in self._live().values():
            in_turn = sorted(batches, key=lambda batch: (self._since(batch), batch.batch_id))
            for turn, batch in enumerate(in_turn):
                if turn == most_tried or batch.batch_id in waiting:
                    job = self._tables.jobs.get(batch.job_id)
                    assert job is not None
                    found[batch.lane, job.urgent, batch.enveloped].append(self._since(batch))
                    break
        return [OldestWaiting(*key, (self._now - min(times)).total_seconds()) for key, times in found.items()]

    def _live(self) -> dict[tuple[StageKey, Lane], list[BatchRow]]:
        """The live batches of each lane of the running stages."""
        found: defaultdict[tuple[StageKey, Lane], list[BatchRow]] = defaultdict(list)
        for batch in self._tables.batches.rows():
            stage = self._tables.stages.get(batch.stage_key)
            assert stage is not None
            if batch.status not in BATCH_ENDS and stage.status not in STAGE_ENDS:
                found[batch.stage_key, batch.lane].append(batch)
        return found

    def _waits(self, task: TaskRow) -> bool:
        if task.status == TaskStatus.RETRYING:
            return task.not_before is not None and task.not_before <= self._now
        return task.status in {TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED}

    def _since(self, batch: BatchRow) -> datetime:
        return batch.created_at if batch.opening == 0 else batch.queued_at or self._now
