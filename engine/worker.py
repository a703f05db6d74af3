"""One invocation of a worker: claim the tasks of up to 100 messages, run them, record them together.

What went wrong with a task is recorded and never raised, because a raise would make the broker deliver
the whole batch again. Only failing infrastructure raises; then the claim, not the broker, sees to it that
nothing is done twice.
"""

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Executor, Future, wait
from functools import partial

from core.models import ClaimedTask, TaskOutcome
from engine.handlers import HandlerRunner
from engine.inbox import Inbox, ReceivedMessage
from engine.limits import Limits
from engine.recording import Recorder
from engine.transactions import transact
from engine.unclaimed import UnclaimedMessages
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)

_TURN_SECONDS = 5.0
"""How long an invocation waits for its turn to run a suspect; then its messages come back later."""


class Worker:
    """Runs tasks.

    Args:
        database: the rows.
        queue: where messages go that shall come back.
        recorder: writes the outcomes.
        handlers: runs one task.
        executor: the threads that handlers run on.
        limits: the length of a lease.
    """

    def __init__(
        self,
        database: Database,
        queue: MessageQueue,
        recorder: Recorder,
        handlers: HandlerRunner,
        executor: Executor,
        limits: Limits,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._handlers = handlers
        self._executor = executor
        self._lease_seconds = limits.lease_seconds
        self._alone = threading.Lock()
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
        suspects = sorted((task for task in claimed if task.interruptions), key=lambda task: task.interruptions)
        if suspects:
            ids = [task.task_id for task in suspects]
            transact(self._database, lambda work: work.tasks.release(ids, lease_id))
            claimed = [task for task in claimed if not task.interruptions]
        if claimed:
            self._recorder.record(queue_name, lease_id, self._run_handlers(claimed, lease_id))
        return {task.task_id for task in claimed} | self._run_alone(queue_name, suspects)

    def _run_alone(self, queue_name: str, suspects: Sequence[ClaimedTask]) -> set[str]:
        """Claims and runs tasks one at a time, with no other suspect of this process beside; returns what it claimed.

        What it does not come to within a lease's time, nearly that of a message lock, is left for later.
        """
        ends_at = time.monotonic() + self._lease_seconds
        done: set[str] = set()
        for suspect in suspects:
            if time.monotonic() >= ends_at or not self._alone.acquire(timeout=_TURN_SECONDS):
                break
            try:
                lease_id = uuid.uuid4().hex
                claimed = self._claim([suspect.task_id], lease_id)
                if claimed:
                    self._recorder.record(queue_name, lease_id, self._run_handlers(claimed, lease_id))
                    done.add(suspect.task_id)
            finally:
                self._alone.release()
        return done

    def _claim(self, task_ids: Sequence[str], lease_id: str) -> list[ClaimedTask]:
        return transact(self._database, lambda work: work.tasks.claim(task_ids, lease_id, self._lease_seconds))

    def _run_handlers(self, claimed: Sequence[ClaimedTask], lease_id: str) -> list[TaskOutcome]:
        held = {task.task_id for task in claimed}
        wanted = set(held)
        futures: dict[Future[TaskOutcome], str] = {
            self._executor.submit(self._handlers.run, task, partial(_is_cancelled, task.task_id, wanted)): task.task_id
            for task in claimed
        }
        try:
            _, running = wait(futures, timeout=self._lease_seconds / 3)
            while running:
                # Those that have ended as well: their outcomes are not recorded before the last one ends.
                lost, stopped = self._renew(sorted(held), lease_id)
                held -= lost
                wanted -= lost | stopped
                _, running = wait(running, timeout=self._lease_seconds / 3)
        except BaseException:
            wanted.clear()  # nothing of this run will be recorded: tell what runs, and start nothing more
            for future in futures:
                future.cancel()
            raise
        return [future.result() for future in futures]

    def _renew(self, task_ids: Sequence[str], lease_id: str) -> tuple[set[str], set[str]]:
        """Extends the leases of running tasks; returns those whose lease is lost, and those whose stage was stopped."""

        def renew(work: UnitOfWork) -> tuple[set[str], set[str]]:
            return work.tasks.renew_leases(task_ids, lease_id, self._lease_seconds), work.tasks.stopped(task_ids)

        held, stopped = transact(self._database, renew)
        lost = set(task_ids) - held
        for task_id in sorted(lost):
            logger.warning("the lease of task %s was lost; this run's outcome will not count", task_id)
        return lost, stopped


def _is_cancelled(task_id: str, wanted: set[str]) -> bool:
    return task_id not in wanted
