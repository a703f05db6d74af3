"""Jobs that wait: for a time, for other jobs, and for an exclusive key.

One function, `settle`, decides with the row of a waiting job locked whether it starts, is cancelled or waits on. It is
called at the submission, after the end of a job that it waits for, for a message at its time, and every minute by the
sweeper, which finds what a killed process has left.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto

from core import json_text
from core.error_records import describe
from core.errors import (
    DependencyFailedError,
    ExclusiveJobError,
    FieldError,
    InvalidInputError,
    LockstepError,
    QueueError,
)
from core.job_waits import JobEnd, StartConditions
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import StageKey, StageOpening
from core.statuses import JobStatus
from engine.jobs.end_hooks import EndHooks
from engine.jobs.first_message import send_first_message
from engine.process.sending import send
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_MOST_SETTLED = 100
"""Jobs that are settled after the end of one job, while a client may wait for its answer: a fraction of a second. The
sweeper finds the others."""

_SCHEDULED_AHEAD = timedelta(days=1)
"""A job that starts later has no scheduled message: a message in a queue cannot be called off. The sweeper finds it."""


class Outcome(StrEnum):
    """What has become of a waiting job."""

    RELEASED = auto()  # it is pending_queue, and its first message must be sent
    CANCELLED = auto()  # a job that it waited for has not completed
    HELD_UP = auto()  # another job has its key
    WAITS = auto()  # for its time, or for other jobs


@dataclass(frozen=True)
class Settled:
    """What has become of a waiting job, and whether the hook of its end is owed."""

    outcome: Outcome
    is_hook_owed: bool = False


class WaitingJobs:
    """Releases waiting jobs, and cancels those that wait in vain."""

    def __init__(self, database: Database, queue: MessageQueue, hooks: EndHooks) -> None:
        self._database = database
        self._queue = queue
        self._hooks = hooks

    def hold(
        self, work: UnitOfWork, job_id: str, conditions: StartConditions, key: str | None, *, refuses: bool
    ) -> Settled:
        """Notes what a job that was just created waits for, and settles it.

        Args:
            work: the transaction that has created it.
            job_id: the job.
            conditions: when it may start.
            key: its exclusive key.
            refuses: whether it is refused when another job has its key.

        Raises:
            InvalidInputError: a job before it does not exist.
            ExclusiveJobError: it is refused.
        """
        missing = work.waits.add(job_id, conditions, key)
        if missing:
            text = f"there is no job {', '.join(missing)}"
            raise InvalidInputError(text, [FieldError("after", text)])
        return self._begin_to_wait(work, job_id, refuses=refuses)

    def wait_again(self, work: UnitOfWork, job_id: str, *, refuses: bool) -> Settled:
        """Settles a job that was reopened and had not begun; it waits for no time.

        Raises:
            ExclusiveJobError: it is refused.
        """
        work.waits.wait_again(job_id)
        return self._begin_to_wait(work, job_id, refuses=refuses)

    def settle(self, work: UnitOfWork, job_id: str, *, is_told: bool = True) -> Settled | None:
        """Moves a waiting job on in a transaction, if it may; returns None when it does not wait.

        Args:
            work: the transaction.
            job_id: the job.
            is_told: whether its release is an event, because it has waited.
        """
        wait = work.waits.lock(job_id)
        if wait is None:
            return None
        lost = next((each for each in wait.open_after if each.cannot_complete), None)
        if lost is not None:
            error = json_text.encode(describe(DependencyFailedError(lost.job_id, lost.status)))
            work.jobs.finish(job_id, JobStatus.CANCELLED, None, error)
            return Settled(Outcome.CANCELLED, self._hooks.owe(work, job_id, wait.job_type))
        if wait.open_after or not wait.is_due:
            return Settled(Outcome.WAITS)
        if not work.waits.take_key(job_id, in_turn=True):
            return Settled(Outcome.HELD_UP)
        work.waits.release(job_id, is_told=is_told)
        return Settled(Outcome.RELEASED)

    def announce(self, job_id: str, settled: Settled | None) -> None:
        """Sends what follows from the commit of `settle`: the message of a start or of a hook, and the notice."""
        self._send_message(job_id, settled)
        if settled is not None and settled.outcome == Outcome.CANCELLED:
            self._hooks.tell([job_id])

    def _send_message(self, job_id: str, settled: Settled | None) -> None:
        if settled is not None and settled.outcome == Outcome.RELEASED:
            send_first_message(self._database, self._queue, job_id)
        elif settled is not None and settled.is_hook_owed:
            self._hooks.announce(StageOpening(StageKey(job_id, 1), 0))

    def move_on(self, job_id: str) -> None:
        """Moves a waiting job on, if it may, then the jobs that wait for it, and tells the ends of those cancelled.

        Raises:
            DatabaseError: the sweeper does what is left.
        """
        _, ended = self.move(job_id)
        self.tell(ended)

    def move(self, job_id: str) -> tuple[Outcome | None, list[str]]:
        """Does as `move_on`; returns what has become of the job, and the ends that are still to be told.

        Raises:
            DatabaseError: the sweeper does what is left.
        """
        outcome = self._settle_one(job_id)
        return outcome, [job_id, *self._settle_after(job_id)] if outcome == Outcome.CANCELLED else []

    def tell(self, ended: Sequence[str]) -> None:
        """Sends the notices of jobs that have ended; the sweeper sends those that the broker does not take."""
        self._hooks.tell(ended)

    @staticmethod
    def release_key(work: UnitOfWork, job_id: str, end: JobEnd) -> None:
        """Releases the key of a job in the transaction that ends the job and its stage, unless a task may still run."""
        if end.holds_key:
            work.waits.release_key(job_id)

    def job_ended(self, job_id: str, end: JobEnd | None) -> None:
        """Settles the jobs that wait for a job that this process has ended, or for its key, and tells of all ends.

        The notices come last, and together: a queue outside Lockstep that does not answer delays one send, and no start
        of a job.
        """
        if end is not None:
            awaited = end.holds_key or end.is_awaited
            self.tell([job_id, *(self._settle_after(job_id) if awaited else ())])

    def after_end(self, job_id: str) -> None:
        """Settles the jobs that wait for the key of a job, those that wait for these, and so on; tells their ends."""
        self.tell(self._settle_after(job_id))

    def _settle_after(self, job_id: str) -> list[str]:
        """Settles the jobs that wait for a job that has ended, those that wait for these, and so on.

        An error is logged, and the sweeper does the rest: the end of the job is committed.

        Returns:
            The jobs that were cancelled.
        """
        cancelled: list[str] = []
        ended = deque([job_id])
        left = _MOST_SETTLED
        try:
            while ended and left > 0:
                found = self._candidates(ended[0], left)
                for each in found:
                    left -= 1
                    if self._settle_one(each) == Outcome.CANCELLED:
                        ended.append(each)
                        cancelled.append(each)
                if not found:
                    ended.popleft()
        except LockstepError as exc:
            logger.warning("jobs that wait for job %s are found by the sweeper: %s", job_id, exc)
        return cancelled

    def schedule(self, job_id: str, start_at: datetime, now: datetime) -> None:
        """Sends a message that arrives when a waiting job is due; without it, the sweeper finds the job."""
        if not now < start_at <= now + _SCHEDULED_AHEAD:
            return
        try:
            send(self._queue, JOBS_QUEUE, [JobMessage(job_id, 1, JobAction.DISPATCH).outgoing(start_at)])
        except QueueError as exc:
            logger.warning("job %s starts when the sweeper finds it: %s", job_id, exc)

    def _begin_to_wait(self, work: UnitOfWork, job_id: str, *, refuses: bool) -> Settled:
        settled = self.settle(work, job_id, is_told=False)
        assert settled is not None, "this transaction has made it a waiting job"
        if settled.outcome == Outcome.HELD_UP and refuses:
            raise ExclusiveJobError(work.waits.rival(job_id))
        if settled.outcome in {Outcome.HELD_UP, Outcome.WAITS}:
            work.waits.tell(job_id)
        return settled

    def _candidates(self, job_id: str, limit: int) -> list[str]:
        with self._database.transaction() as work:
            return work.waits.candidates_after(job_id, limit)

    def _settle_one(self, job_id: str) -> Outcome | None:
        settled = transact(self._database, lambda work: self.settle(work, job_id))
        if settled is not None:
            logger.info("job %s waited and is settled: %s", job_id, settled.outcome)
        self._send_message(job_id, settled)
        return None if settled is None else settled.outcome
