import logging
from collections import Counter
from collections.abc import Sequence

from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, TaskMessage
from core.models import BatchDelta, RecordedTask, StageKey, TaskOutcome
from core.statuses import TaskStatus
from engine.sending import send
from engine.transactions import transact
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)


class Recorder:
    """Writes outcomes of tasks, and sends what follows from them.

    Args:
        database: the rows.
        queue: where retries and stage messages go.
    """

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def record(self, queue_name: str, lease_id: str, outcomes: Sequence[TaskOutcome]) -> None:
        """Writes the outcomes of those tasks whose lease is still held, in one transaction.

        Args:
            queue_name: where their retries are sent.
            lease_id: the lease.
            outcomes: of tasks that were claimed with it.

        Raises:
            LockstepError: infrastructure failed; what was committed stays, and its messages are repeated later.
        """
        recorded, ended_stages = transact(self._database, lambda work: _write(work, lease_id, outcomes))
        if len(recorded) < len(outcomes):
            logger.warning("%d outcomes came too late: their leases were lost", len(outcomes) - len(recorded))
        retries = [
            TaskMessage(task.task_id, task.batch_id, task.send).outgoing(task.not_before)
            for task in recorded
            if task.status == TaskStatus.RETRYING
        ]
        send(self._queue, queue_name, retries)
        advances = [JobMessage(key.job_id, key.stage, JobAction.ADVANCE).outgoing() for key in ended_stages]
        send(self._queue, JOBS_QUEUE, advances)


def _write(
    work: UnitOfWork, lease_id: str, outcomes: Sequence[TaskOutcome]
) -> tuple[list[RecordedTask], list[StageKey]]:
    """Writes outcomes to tasks, then batches, then stages; returns what was written and the stages it ended."""
    recorded = work.tasks.record(lease_id, outcomes)
    deltas = _deltas(recorded)
    finished = work.batches.apply_outcomes(deltas) if deltas else []
    keys = work.stages.add_finished_batches(finished) if finished else []
    return recorded, [key for key in keys if work.stages.finish_if_complete(key.job_id, key.stage)]


def _deltas(recorded: Sequence[RecordedTask]) -> list[BatchDelta]:
    """The ended tasks of each batch, in batch id order: the order in which every invocation locks."""
    completed = Counter(task.batch_id for task in recorded if task.status == TaskStatus.COMPLETED)
    failed = Counter(task.batch_id for task in recorded if task.status == TaskStatus.FAILED)
    return [BatchDelta(batch_id, completed[batch_id], failed[batch_id]) for batch_id in sorted({*completed, *failed})]
