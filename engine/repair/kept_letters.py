"""Kept dead letters: a person resends one, or discards it.

A resend begins with a count in the row, so that one of two requests at the same time sends the message. Then the broker
takes the message, and then the row says so. A process that dies in between leaves the row as `resending`, and a further
request sends the message again. That does no harm: the claim decides which message runs a task, and the statuses of the
job and the stage decide what a job message does.
"""

import logging
import uuid
from dataclasses import dataclass, replace

from core.errors import DeadLetterNotFoundError, DeadLetterStateError, MessageFormatError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from core.messages import BatchMessage, JobAction, JobMessage, OutgoingMessage, TaskMessage
from core.models import Job, Stage
from core.statuses import (
    DEAD_LETTER_ENDS,
    JOB_ENDS,
    STAGE_ENDS,
    TASK_ENDS,
    DeadLetterState,
)
from engine.process.sending import send
from engine.stages.step import Step, next_step
from repositories.ports import Database, KeptDeadLetter, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_TASK_QUEUES = frozenset({TASKS_QUEUE, LONG_TASKS_QUEUE, URGENT_TASKS_QUEUE})


@dataclass(frozen=True)
class _Refusal:
    """Why a message is not sent again."""

    reason: str


class KeptLetters:
    """Resends or discards kept dead letters, when a person asks for it."""

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def resend(self, dead_letter_id: int) -> KeptDeadLetter:
        """Sends the message of a dead letter once more to the queue that it came from.

        The send of a task's message is counted. A job message begins anew, without its earlier failures.

        Returns:
            The dead letter afterwards.

        Raises:
            DeadLetterNotFoundError: there is no such dead letter.
            DeadLetterStateError: it was handled, cannot be decoded, or its message has no work left to do.
            QueueError: the broker refused the message; a further request sends it again.
        """
        kept, message = transact(self._database, lambda work: _begin(work, dead_letter_id))
        send(self._queue, kept.letter.queue, [message])
        resent = transact(self._database, lambda work: _end(work, dead_letter_id))
        logger.warning(
            "dead letter %d of %s is resent: its state is %s", dead_letter_id, kept.letter.queue, resent.state
        )
        return resent

    def discard(self, dead_letter_id: int) -> KeptDeadLetter:
        """Notes that the message of a dead letter is not needed. Safe to repeat.

        Returns:
            The dead letter afterwards.

        Raises:
            DeadLetterNotFoundError: there is no such dead letter.
            DeadLetterStateError: it was resent.
        """

        def discard(work: UnitOfWork) -> KeptDeadLetter:
            changed = work.dead_letters.discard(dead_letter_id)
            kept = _kept(work, dead_letter_id)
            if not changed and kept.state != DeadLetterState.DISCARDED:
                raise DeadLetterStateError(dead_letter_id, kept.state, "it cannot be discarded any more")
            return kept

        return transact(self._database, discard)


def _begin(work: UnitOfWork, dead_letter_id: int) -> tuple[KeptDeadLetter, OutgoingMessage]:
    """Counts a resend; returns the dead letter and the message to send."""
    kept = _kept(work, dead_letter_id)
    if kept.state in DEAD_LETTER_ENDS:
        raise DeadLetterStateError(dead_letter_id, kept.state, "a message that dies again is another dead letter")
    found = _message(work, kept)
    if isinstance(found, _Refusal):
        raise DeadLetterStateError(dead_letter_id, kept.state, found.reason)
    if not work.dead_letters.begin_resend(dead_letter_id, kept.resends):
        raise DeadLetterStateError(dead_letter_id, kept.state, "another request handles it at this moment")
    if isinstance(found, TaskMessage):
        # Left out if another transaction holds the row: then the send is not counted.
        found = replace(found, send=work.tasks.count_sends([found.task_id]).get(found.task_id, found.send))
    # A retry of the task that is recorded now may get the same number: the suffix keeps the ids of the messages apart.
    outgoing = found.outgoing()
    return kept, replace(outgoing, message_id=f"{outgoing.message_id}-{uuid.uuid4().hex[:8]}")


def _end(work: UnitOfWork, dead_letter_id: int) -> KeptDeadLetter:
    work.dead_letters.end_resend(dead_letter_id)  # unless another request has, or it was discarded
    return _kept(work, dead_letter_id)


def _kept(work: UnitOfWork, dead_letter_id: int) -> KeptDeadLetter:
    kept = work.dead_letters.get(dead_letter_id)
    if kept is None:
        raise DeadLetterNotFoundError(dead_letter_id)
    return kept


def _message(work: UnitOfWork, kept: KeptDeadLetter) -> TaskMessage | BatchMessage | JobMessage | _Refusal:
    """Returns the message that does the work which is left, or why there is none."""
    letter = kept.letter
    try:
        if letter.queue == JOBS_QUEUE:
            return _job_message(work, JobMessage.decode(letter.body))
        if letter.queue == BATCHES_QUEUE:
            return _envelope(work, BatchMessage.decode(letter.body))
        if letter.queue in _TASK_QUEUES:
            return _task_message(work, TaskMessage.decode(letter.body))
    except MessageFormatError as exc:
        return _Refusal(f"its body cannot be decoded: {exc}")
    return _Refusal(f"{letter.queue!r} is no queue of this app")


def _task_message(work: UnitOfWork, message: TaskMessage) -> TaskMessage | _Refusal:
    states = work.tasks.unclaimed([message.task_id])
    if not states:
        return _Refusal(f"there is no row for task {message.task_id}")
    (task,) = states
    if task.status in TASK_ENDS:
        return _Refusal(f"task {task.task_id} is {task.status}; retry or resume its job to run it again")
    if task.due_at is None:
        return _Refusal(f"the stage of task {task.task_id} was stopped; retry or resume its job to run it")
    return replace(message, misses=0)


def _envelope(work: UnitOfWork, envelope: BatchMessage) -> BatchMessage | _Refusal:
    task_ids = work.tasks.ids_of_batch(envelope.batch_id)
    if not task_ids:
        return _Refusal(f"there is no row for batch {envelope.batch_id}")
    states = work.tasks.unclaimed(task_ids)
    if all(state.status in TASK_ENDS for state in states):
        return _Refusal(f"all tasks of batch {envelope.batch_id} have ended; retry or resume the job to run some again")
    if all(state.due_at is None for state in states):
        return _Refusal(f"the stage of batch {envelope.batch_id} was stopped; retry or resume the job to run its tasks")
    return replace(envelope, misses=0)


def _job_message(work: UnitOfWork, message: JobMessage) -> JobMessage | _Refusal:
    job, stage = work.jobs.get(message.job_id), work.stages.get(message.key)
    if job is None:
        return _Refusal(f"there is no job {message.job_id}")
    if next_step(message, job, stage) == Step.NOTHING:
        return _Refusal(_why_nothing(message, job, stage))
    return JobMessage.about(message.stage_opening, message.action)


def _why_nothing(message: JobMessage, job: Job, stage: Stage | None) -> str:
    """Says why the stage engine would drop a message; it has found that there is nothing to do."""
    name = f"stage {message.stage} of job {job.job_id}"
    if stage is not None and stage.openings != message.opening:
        return f"{name} was reopened; this message is of another opening"
    if message.action == JobAction.CANCEL:
        return f"{name} is not stopped: there is nothing to cancel"
    if job.status in JOB_ENDS:
        return f"job {job.job_id} is {job.status}; retry or resume it to run it again"
    return f"{name} {_state(message, stage)}"


def _state(message: JobMessage, stage: Stage | None) -> str:
    if stage is None:
        return "has not begun"
    if stage.waits_for_room:
        return "waits for room; it goes on by itself when some of its tasks have ended"
    if message.action == JobAction.ADVANCE and stage.status not in STAGE_ENDS:
        return "has not ended"
    return "has gone on without it"
