import logging
from collections import Counter
from collections.abc import Callable, Sequence

from core.errors import DatabaseError, DatabaseUnavailableError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, TaskMessage
from core.models import BatchDelta, RecordedTask, StageKey, TaskOutcome
from core.statuses import TaskStatus
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.process.sending import send
from engine.process.transactions import transact
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 1.0
"""During an outage: shorter than the pauses of workers that wait to claim the same tasks anew."""


class Recorder:
    """Records the outcomes of tasks, and sends the messages that follow: retries, and ADVANCE of an ended stage."""

    def __init__(self, database: Database, queue: MessageQueue, limits: Limits, outages: OutageWaiter) -> None:
        self._database = database
        self._queue = queue
        self._silence_seconds = limits.silence_seconds
        self._lease_seconds = limits.lease_seconds
        self._outages = outages

    def record(self, queue_name: str, lease_id: str, outcomes: Sequence[TaskOutcome]) -> set[str]:
        """Records the outcomes of the tasks whose lease is still held, in one transaction.

        While PostgreSQL is unavailable it waits, up to the time after which the sweeper takes the task for lost: work
        that is done is worth more than the message's lock. A database whose disk is full may refuse outcomes and still
        allow claims. Then run after run would be thrown away and held against its task, so the lease is renewed
        meanwhile, and released in the end.

        Args:
            queue_name: the queue that retries are sent to.
            lease_id: the lease.
            outcomes: of tasks that were claimed with this lease.

        Returns:
            The ids of the tasks whose outcome was recorded. The others were taken over; or they were recorded by a
            transaction whose commit was not acknowledged, and the messages that follow were not sent.

        Raises:
            LockstepError: infrastructure failed; what was committed stays, and its messages are repeated later.
        """
        task_ids = sorted(outcome.task_id for outcome in outcomes)
        try:
            recorded, ended_stages = self._outages.run(
                lambda: self._write_or_keep_lease(lease_id, outcomes, task_ids),
                self._outages.deadline(self._silence_seconds),
                _LONGEST_PAUSE_SECONDS,
            )
        except DatabaseUnavailableError:
            self._try_to(lambda work: work.tasks.release(task_ids, lease_id))
            raise
        if len(recorded) < len(outcomes):
            logger.warning("%d outcomes are not recorded: their leases are lost", len(outcomes) - len(recorded))
        retries = [
            TaskMessage(task.task_id, task.batch_id, task.send).outgoing(task.not_before)
            for task in recorded
            if task.status == TaskStatus.RETRYING
        ]
        send(self._queue, queue_name, retries)
        advances = [JobMessage(key.job_id, key.number, JobAction.ADVANCE).outgoing() for key in ended_stages]
        send(self._queue, JOBS_QUEUE, advances)
        return {task.task_id for task in recorded}

    def _write_or_keep_lease(
        self, lease_id: str, outcomes: Sequence[TaskOutcome], task_ids: Sequence[str]
    ) -> tuple[list[RecordedTask], list[StageKey]]:
        try:
            return transact(self._database, lambda work: _write(work, lease_id, outcomes))
        except DatabaseUnavailableError:
            self._try_to(lambda work: work.tasks.renew_leases(task_ids, lease_id, self._lease_seconds))
            raise

    def _try_to(self, action: Callable[[UnitOfWork], object]) -> None:
        try:
            transact(self._database, action)
        except DatabaseError as exc:
            logger.debug("the leases of unrecorded tasks are left as they are: %s", exc)


def _write(
    work: UnitOfWork, lease_id: str, outcomes: Sequence[TaskOutcome]
) -> tuple[list[RecordedTask], list[StageKey]]:
    """Writes outcomes to tasks, then batches, then stages; returns the recorded tasks and the stages that ended."""
    recorded = work.tasks.record(lease_id, outcomes)
    deltas = _deltas(recorded)
    finished = work.batches.apply_outcomes(deltas) if deltas else []
    keys = work.stages.add_finished_batches(finished) if finished else []
    return recorded, [key for key in keys if work.stages.finish_if_complete(key)]


def _deltas(recorded: Sequence[RecordedTask]) -> list[BatchDelta]:
    """Counts the ended tasks of each batch, in batch id order: the order in which every invocation locks."""
    completed = Counter(task.batch_id for task in recorded if task.status == TaskStatus.COMPLETED)
    failed = Counter(task.batch_id for task in recorded if task.status == TaskStatus.FAILED)
    return [BatchDelta(batch_id, completed[batch_id], failed[batch_id]) for batch_id in sorted({*completed, *failed})]
