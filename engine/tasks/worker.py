"""One invocation of a worker: claims the tasks of up to 100 messages, or of a batch; records their outcomes together.

A task's own failure is recorded and never raised, because an exception makes the broker deliver the whole batch again.
The worker raises only when infrastructure fails, and only after it has waited for the outage to end. Then the broker
delivers the messages again, and the claim keeps tasks from running twice.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from core.batching import BATCH_SIZE
from core.errors import DatabaseError, LockTimeoutError
from core.lanes import TASKS_QUEUE
from core.messages import ReceivedMessage
from core.task_runs import ClaimedTask
from core.telemetry import Timed, telemetry
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.tasks.inbox import Inbox
from engine.tasks.settler import Settler
from engine.tasks.slots import Claim, Slots
from engine.tasks.task_runner import Claimed, TaskRunner
from engine.tasks.unclaimed_envelopes import UnclaimedEnvelopes
from engine.tasks.unclaimed_messages import UnclaimedMessages
from engine.tasks.wanted import Wanted
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

T = TypeVar("T")

pause = time.sleep

_TURN_SECONDS = 5.0
"""How long an invocation waits for its turn to run a suspect; then it reschedules the suspect's message."""

_LOCKED_PAUSES_SECONDS = (0.001, 0.004, 0.016, 0.064)
"""How long an invocation waits for rows that were locked at its claim, before each further claim."""

_CLAIM_AGAIN_SECONDS = 5.0
"""How old an invocation may be when it claims again: its tasks must start in the first half of the message lock."""


class Worker:
    """Claims the tasks of messages, runs them, and settles their outcomes."""

    def __init__(  # noqa: PLR0913, PLR0917 - bootstrap alone builds one, from its parts
        self,
        database: Database,
        queue: MessageQueue,
        runner: TaskRunner,
        settler: Settler,
        slots: Slots,
        limits: Limits,
        outages: OutageWaiter,
    ) -> None:
        self._database = database
        self._runner = runner
        self._settler = settler
        self._slots = slots
        self._lease_seconds = limits.lease_seconds
        self._name = limits.worker
        self._outages = outages
        self._alone = threading.Lock()
        self._inbox = Inbox(database)
        self._unclaimed = UnclaimedMessages(database, queue)
        self._unclaimed_envelopes = UnclaimedEnvelopes(database, queue, self._unclaimed)

    def run(self, queue_name: str, received: Sequence[ReceivedMessage]) -> None:
        """Runs the tasks of one invocation's messages. Returning completes the messages.

        Args:
            queue_name: the queue of the messages; new messages for these tasks go there too.
            received: 1 to 100 messages.

        Raises:
            LockstepError: infrastructure failed; the broker must deliver the messages again.
        """
        until = time.monotonic() + _CLAIM_AGAIN_SECONDS
        messages = self._inbox.read(queue_name, received)
        if not messages:
            return
        settled = self._run_claimed(queue_name, Wanted(tuple(messages)))
        # Last, because it may raise: the claimed tasks are settled by now, so no attempt is spent in vain.
        rest = messages.keys() - settled
        if rest:
            rest -= self._run_locked(queue_name, rest, until)
        if rest:
            self._unclaimed.handle(queue_name, [messages[task_id] for task_id in sorted(rest)])

    def run_batch(self, received: ReceivedMessage) -> None:
        """Runs the tasks of the batch that one envelope names. Returning completes the envelope.

        What follows travels as single messages in sb-tasks: retries, and tasks that were released.

        Raises:
            LockstepError: infrastructure failed; the broker must deliver the envelope again.
        """
        until = time.monotonic() + _CLAIM_AGAIN_SECONDS
        envelope = self._inbox.read_envelope(received)
        if envelope is None:
            return
        settled = self._run_claimed(TASKS_QUEUE, Wanted(batch_id=envelope.batch_id))
        if len(settled) < BATCH_SIZE:  # a batch has no more tasks: it saves most envelopes a read
            task_ids = self._unclaimed_envelopes.tasks(envelope)
            settled |= self._run_locked(TASKS_QUEUE, task_ids - settled, until)
            self._unclaimed_envelopes.handle(envelope, task_ids, settled)

    def _run_claimed(self, queue_name: str, wanted: Wanted) -> set[str]:
        """Claims and runs tasks together, except for suspects: tasks whose earlier run was interrupted.

        A suspect may have killed the process of its worker. Each suspect is claimed and run alone, so that only the
        guilty task is blamed if its worker dies again.

        Returns:
            The ids of the tasks that were recorded, released or parked.
        """
        start_until = self._start_until()
        lease_id = uuid.uuid4().hex
        with telemetry().timed(Timed.CLAIM):
            claim = self._claim(wanted, lease_id)
        claimed, settled = claim.tasks, claim.parked
        suspects = sorted((task for task in claimed if task.interruptions), key=lambda task: task.interruptions)
        if suspects:
            ids = [task.task_id for task in suspects]
            self._wait_out(lambda: transact(self._database, lambda work: self._unclaim(work, ids, lease_id)))
            claimed = [task for task in claimed if not task.interruptions]
        if claimed:
            settled |= self._run_and_settle(Claimed(queue_name, lease_id, claimed, start_until))
        return settled | self._run_alone(queue_name, suspects, start_until)

    def _run_locked(self, queue_name: str, task_ids: Collection[str], until: float) -> set[str]:
        """Claims tasks again whose rows were locked, and runs them; returns the ids of the settled ones.

        Their dispatcher may be marking them as queued: the messages of a batch can arrive before it has committed that.
        It commits soon, and a rescheduled message comes after a second at the earliest.
        """
        settled: set[str] = set()
        for pause_seconds in _LOCKED_PAUSES_SECONDS:
            locked = self._unclaimed.due([task_id for task_id in sorted(task_ids) if task_id not in settled])
            if not locked or time.monotonic() >= until:
                break
            pause(pause_seconds)
            settled |= self._run_claimed(queue_name, Wanted(tuple(locked)))
        return settled

    def _run_alone(self, queue_name: str, suspects: Sequence[ClaimedTask], start_until: float) -> set[str]:
        """Claims and runs suspects one at a time in this process; returns the ids of the settled ones.

        The first suspect may start after `start_until`; later ones may not, and are left for another invocation.
        """
        settled: set[str] = set()
        for number, suspect in enumerate(suspects):
            if (number and time.monotonic() >= start_until) or not self._alone.acquire(timeout=_TURN_SECONDS):
                break
            try:
                lease_id = uuid.uuid4().hex
                claim = self._claim(Wanted((suspect.task_id,)), lease_id)
                settled |= claim.parked
                if claim.tasks:
                    settled |= self._run_and_settle(Claimed(queue_name, lease_id, claim.tasks, self._start_until()))
            finally:
                self._alone.release()
        return settled

    def _start_until(self) -> float:
        """Returns the time after which no task starts: half a lease from now, in the first half of the message lock."""
        return time.monotonic() + self._lease_seconds / 2

    def _run_and_settle(self, claimed: Claimed) -> set[str]:
        settled = self._settler.settle(claimed, self._runner.run(claimed))
        self._slots.freed(claimed.tasks)
        return settled

    def _claim(self, wanted: Wanted, lease_id: str) -> Claim:
        def claim_tasks(work: UnitOfWork, ids: Sequence[str]) -> list[ClaimedTask]:
            return work.tasks.claim(ids, lease_id, self._lease_seconds, self._name)

        def claim(work: UnitOfWork) -> Claim:
            if wanted.batch_id is not None and not self._slots.have_limits:
                return Claim(work.tasks.claim_batch(wanted.batch_id, lease_id, self._lease_seconds, self._name))
            return self._slots.claim(work, wanted.ids(work), lease_id, claim_tasks)

        def claim_others(work: UnitOfWork) -> Claim:
            return self._slots.claim_others(work, wanted.ids(work), claim_tasks)

        def claim_again(*, others: bool) -> Claim:
            # The first claim may have been committed although its acknowledgement was lost.
            transact(self._database, lambda work: self._unclaim(work, wanted.ids(work), lease_id))
            return transact(self._database, claim_others if others else claim)

        try:
            claimed = transact(self._database, claim)
        except DatabaseError as exc:  # the waiter raises those that cannot pass
            logger.warning("the claim of %s is repeated: %s", wanted, exc)
            # Another transaction may hold the lock of a task type: the tasks of other types do not wait for it.
            others = isinstance(exc, LockTimeoutError)
            claimed = self._wait_out(lambda: claim_again(others=others))
        self._slots.send(claimed.woken)
        return claimed

    def _unclaim(self, work: UnitOfWork, task_ids: Sequence[str], lease_id: str) -> None:
        """Releases tasks that were claimed with the lease and did not run; a limit does not count their start."""
        work.tasks.release(task_ids, lease_id)
        self._slots.forget(work, task_ids, lease_id)

    def _wait_out(self, action: Callable[[], T]) -> T:
        """Runs an action; during an outage, repeats it for at most the length of a lease."""
        return self._outages.run(action, self._outages.deadline(self._lease_seconds))
