"""One invocation of a worker: claim the tasks of up to 100 messages, run them, record them together.

What went wrong with a task is recorded and never raised, because a raise would make the broker deliver
the whole batch again. Only failing infrastructure raises; then the claim, not the broker, sees to it that
nothing is done twice.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, Future, wait
from functools import partial

from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, TaskMessage
from core.models import BatchDelta, ClaimedTask, RecordedTask, StageKey, TaskOutcome
from core.statuses import TaskStatus
from engine.handlers import HandlerRunner
from engine.inbox import Inbox, ReceivedMessage
from engine.limits import Limits
from engine.sending import send
from engine.transactions import transact
from engine.unclaimed import UnclaimedMessages
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)


class Worker:
    """Runs tasks.

    Args:
        database: the rows.
        queue: where retries and stage messages go.
        handlers: runs one task.
        executor: the threads that handlers run on.
        limits: the length of a lease.
    """

    def __init__(
        self, database: Database, queue: MessageQueue, handlers: HandlerRunner, executor: Executor, limits: Limits
    ) -> None:
        self._database = database
        self._queue = queue
        self._handlers = handlers
        self._executor = executor
        self._lease_seconds = limits.lease_seconds
        self._inbox = Inbox(database)
        self._unclaimed = UnclaimedMessages(database, queue)

    def run(self, queue_name: str, received: Sequence[ReceivedMessage]) -> None:
        """Runs the tasks of one invocation's messages; returning completes the messages.

        Args:
            queue_name: the queue they came from; further messages of these tasks go there.
            received: 1 to 100 messages.

        Raises:
            LockstepError: infrastructure failed; the messages shall be delivered again.
        """
        messages = self._inbox.read(queue_name, received)
        if not messages:
            return
        claimed = self._run_claimed(queue_name, list(messages))
        # Last, because it may raise: what is claimed has spent an attempt, and shall not have spent it in vain.
        unclaimed = messages.keys() - claimed
        if unclaimed:
            self._unclaimed.handle(queue_name, [messages[task_id] for task_id in sorted(unclaimed)])

    def _run_claimed(self, queue_name: str, task_ids: Sequence[str]) -> set[str]:
        """Claims and runs tasks: together, but for those that were interrupted before.

        One of these may have ended the process of its worker. Each runs alone and is claimed only then, so that the one
        that does it again is the only one against which that is held.

        Returns:
            The tasks that could be claimed.
        """
        lease_id = uuid.uuid4().hex
        claimed = self._claim(task_ids, lease_id)
        suspects = [task.task_id for task in claimed if task.interruptions]
        if suspects and len(claimed) > 1:
            transact(self._database, lambda work: work.tasks.release(suspects, lease_id))
            claimed = [task for task in claimed if not task.interruptions]
        else:
            suspects = []
        if claimed:
            self._record(queue_name, lease_id, self._run_handlers(claimed, lease_id))
        return {task.task_id for task in claimed}.union(*(self._run_claimed(queue_name, [each]) for each in suspects))

    def _claim(self, task_ids: Sequence[str], lease_id: str) -> list[ClaimedTask]:
        return transact(self._database, lambda work: work.tasks.claim(task_ids, lease_id, self._lease_seconds))

    def _run_handlers(self, claimed: Sequence[ClaimedTask], lease_id: str) -> list[TaskOutcome]:
        held = {task.task_id for task in claimed}
        futures: dict[Future[TaskOutcome], str] = {
            self._executor.submit(self._handlers.run, task, partial(_is_lost, task.task_id, held)): task.task_id
            for task in claimed
        }
        try:
            _, running = wait(futures, timeout=self._lease_seconds / 3)
            while running:
                # Those that have ended as well: their outcomes are not recorded before the last one ends.
                held -= self._renew(sorted(held), lease_id)
                _, running = wait(running, timeout=self._lease_seconds / 3)
        except BaseException:
            held.clear()  # nothing of this run will be recorded: tell what runs, and start nothing more
            for future in futures:
                future.cancel()
            raise
        return [future.result() for future in futures]

    def _renew(self, task_ids: Sequence[str], lease_id: str) -> set[str]:
        """Extends the leases of running tasks; returns the tasks whose lease is lost."""
        held = transact(self._database, lambda work: work.tasks.renew_leases(task_ids, lease_id, self._lease_seconds))
        lost = set(task_ids) - held
        for task_id in sorted(lost):
            logger.warning("the lease of task %s was lost; this run's outcome will not count", task_id)
        return lost

    def _record(self, queue_name: str, lease_id: str, outcomes: Sequence[TaskOutcome]) -> None:
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


def _is_lost(task_id: str, held: set[str]) -> bool:
    return task_id not in held


def _deltas(recorded: Sequence[RecordedTask]) -> list[BatchDelta]:
    """The ended tasks of each batch, in batch id order: the order in which every invocation locks."""
    completed = Counter(task.batch_id for task in recorded if task.status == TaskStatus.COMPLETED)
    failed = Counter(task.batch_id for task in recorded if task.status == TaskStatus.FAILED)
    return [BatchDelta(batch_id, completed[batch_id], failed[batch_id]) for batch_id in sorted({*completed, *failed})]
