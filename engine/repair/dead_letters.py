"""Dead letters: no job hangs because the broker gave up on a message.

If the message still has work to do, it is sent again, up to `MAX_RESENDS` times and later each time. Then its task, or
its job, fails with the broker's reason. A message that expired while it waited says nothing against its task: it is
sent again any number of times.

The message of a task is sent first and counted afterwards, so that no lock is held while the broker answers. A process
that dies in between sends it twice, which does no harm: the claim decides which message runs the task. The count names
the number of sends that it expects, so a dead letter counts once, and never when the task has gone on meanwhile.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core import json_text
from core.error_records import describe
from core.errors import JobFailure, MessageFormatError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.messages import BatchMessage, JobAction, JobMessage, ReceivedMessage, TaskMessage
from core.statuses import JOB_ENDS, TASK_ENDS, JobStatus, StageStatus, TaskStatus
from core.task_runs import TaskOutcome
from engine.process.keeping import ORPHAN, UNREADABLE, keep
from engine.process.limits import Limits
from engine.process.sending import send
from engine.stages.job_endings import JobEndings
from engine.tasks.recorder import Recorder
from engine.tasks.unclaimed_envelopes import UnclaimedEnvelopes
from engine.tasks.unclaimed_messages import UnclaimedMessages
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

MAX_RESENDS = 5
"""How often a dead letter is sent again: after 10, 20, 40, 80 and 160 s. Each resend is delivered ten times before the
broker gives up again, so only a fault of many minutes makes a task fail this way."""

EXPIRED = "TTLExpiredException"
"""The broker's reason when a message has waited in the queue for longer than its time to live. All other reasons count:
there the broker gave up on the message itself ("Dead-letter queues", learn.microsoft.com)."""

_FIRST_DELAY_SECONDS = 10


class DeadLetteredError(JobFailure):
    """The broker gave up on every message of the job's stage."""


@dataclass(frozen=True)
class DeadLetteredMessage:
    """A message of a dead-letter queue, and why it is there."""

    raw: ReceivedMessage
    reason: str
    description: str


class DeadLetters:
    """Handles the messages of dead-letter queues."""

    def __init__(
        self, database: Database, queue: MessageQueue, recorder: Recorder, endings: JobEndings, limits: Limits
    ) -> None:
        self._database = database
        self._queue = queue
        self._recorder = recorder
        self._endings = endings
        self._lease_seconds = limits.lease_seconds
        self._unclaimed = UnclaimedMessages(database, queue)
        self._unclaimed_envelopes = UnclaimedEnvelopes(database, queue, self._unclaimed)

    def task(self, queue_name: str, dead: DeadLetteredMessage) -> None:
        """Handles the dead letter of a task. Returning completes the message.

        Args:
            queue_name: the queue that the dead-letter queue belongs to.
            dead: the message.

        Raises:
            LockstepError: infrastructure failed; the message stays in the dead-letter queue.
        """
        try:
            message = TaskMessage.decode(dead.raw.body)
        except MessageFormatError as exc:
            self._keep(queue_name, dead, UNREADABLE, str(exc))
            return
        with self._database.transaction() as work:
            task = work.tasks.get(message.task_id)
        if task is None:
            self._keep(queue_name, dead, ORPHAN, f"there is no row for task {message.task_id}")
        elif task.status in TASK_ENDS:
            self._unclaimed.handle(queue_name, [message])  # its stage may still have to advance
        elif message.send < task.sends:
            logger.info("task %s has been resent; its dead letter (send %d) is dropped", task.task_id, message.send)
        elif not self._send_again(queue_name, message, dead, task.sends):
            self._fail(queue_name, message, dead)

    def envelope(self, dead: DeadLetteredMessage) -> None:
        """Handles the dead letter of a batch: each of its waiting tasks goes on with a message of its own.

        So the dead letters of each task are counted on its own, and only the task that kills its workers fails. An
        envelope that expired while it waited says nothing against its tasks: it is sent again.

        Raises:
            LockstepError: infrastructure failed; the envelope stays in the dead-letter queue.
        """
        try:
            envelope = BatchMessage.decode(dead.raw.body)
        except MessageFormatError as exc:
            self._keep(BATCHES_QUEUE, dead, UNREADABLE, str(exc))
            return
        with self._database.transaction() as work:
            task_ids = work.tasks.ids_of_batch(envelope.batch_id)
        if not task_ids:
            self._keep(BATCHES_QUEUE, dead, ORPHAN, f"there is no row for batch {envelope.batch_id}")
        elif dead.reason == EXPIRED:
            self._unclaimed_envelopes.handle(envelope, task_ids, settled=())
        else:
            self._split(envelope, task_ids, dead.reason)

    def job(self, dead: DeadLetteredMessage) -> None:
        """Handles a dead letter of sb-jobs. Returning completes the message.

        Raises:
            LockstepError: infrastructure failed; the message stays in the dead-letter queue.
        """
        try:
            message = JobMessage.decode(dead.raw.body)
        except MessageFormatError as exc:
            self._keep(JOBS_QUEUE, dead, UNREADABLE, str(exc))
            return
        with self._database.transaction() as work:
            job = work.jobs.get(message.job_id)
            stage = work.stages.get(message.key)
            now = work.now()
        if job is None:
            self._keep(JOBS_QUEUE, dead, ORPHAN, f"there is no job {message.job_id}")
        elif job.status in JOB_ENDS:
            logger.info("job %s has ended; its dead letter (%s) is dropped", message.job_id, message.action)
        elif job.status == JobStatus.WAITING:
            logger.info("job %s waits; its dead letter is dropped, and the sweeper starts the job", message.job_id)
        elif stage is not None and stage.openings != message.opening:
            logger.info(
                "stage %d of job %s was reopened; the dead letter of an earlier opening (%s) is dropped",
                *(message.stage, job.job_id, message.action),
            )
        elif job.stage > message.stage or (stage is not None and stage.status == StageStatus.RUNNING):
            logger.info(
                "stage %d of job %s has gone on; its dead letter (%s) is dropped",
                *(message.stage, job.job_id, message.action),
            )
        elif dead.reason == EXPIRED or message.deaths < MAX_RESENDS:
            logger.warning("%s of job %s is sent again: %s", message.action, message.job_id, dead.reason)
            again = message if dead.reason == EXPIRED else replace(message, deaths=message.deaths + 1)
            send(self._queue, JOBS_QUEUE, [again.outgoing(now + _delay(again.deaths))])
        else:
            self._keep(JOBS_QUEUE, dead, dead.reason, dead.description)
            if message.action != JobAction.CANCEL:  # the sweeper sends CANCEL again
                self._endings.fail(message.stage_opening, DeadLetteredError(_text(dead)))

    def _split(self, envelope: BatchMessage, task_ids: Sequence[str], reason: str) -> None:
        logger.warning("the tasks of batch %s are sent one by one: %s", envelope.batch_id, reason)
        self._unclaimed.handle(TASKS_QUEUE, [TaskMessage(task_id, envelope.batch_id) for task_id in task_ids])

    def _send_again(self, queue_name: str, message: TaskMessage, dead: DeadLetteredMessage, sends: int) -> bool:
        """Sends a task's message again; returns False when the broker gave up on all its resends."""
        died = dead.reason != EXPIRED

        def begin(work: UnitOfWork) -> tuple[int | None, datetime]:
            return work.tasks.begin_dead_letter(message.task_id, sends), work.now()

        before, now = transact(self._database, begin)
        if before is None:  # the task has ended, or was sent again, since it was read
            self._unclaimed.handle(queue_name, [message])
            return True
        if died and before >= MAX_RESENDS:
            return False
        again = replace(message, send=sends + 1, misses=0).outgoing(now + _delay(before + died))
        # A retry that is recorded now gets the same number, as does a repeated resend: the suffix keeps the ids apart.
        again = replace(again, message_id=f"{again.message_id}-{uuid.uuid4().hex[:8]}")
        send(self._queue, queue_name, [again])
        counted = transact(self._database, lambda work: work.tasks.count_dead_letter(message.task_id, sends, died=died))
        logger.warning(
            "task %s is resent (dead letter %d%s): %s",
            *(message.task_id, before + died, "" if counted else ", not counted", dead.reason),
        )
        return True

    def _fail(self, queue_name: str, message: TaskMessage, dead: DeadLetteredMessage) -> None:
        lease_id = uuid.uuid4().hex
        claimed = transact(
            self._database, lambda work: work.tasks.claim([message.task_id], lease_id, self._lease_seconds)
        )
        if not claimed:  # another worker has it, or it is not due: the dead letter does not matter
            self._unclaimed.handle(queue_name, [message])
            return
        self._keep(queue_name, dead, dead.reason, dead.description)
        error = describe(DeadLetteredError(_text(dead)))
        outcome = TaskOutcome(message.task_id, TaskStatus.FAILED, error=json_text.encode(error))
        if not self._recorder.record(queue_name, lease_id, [outcome]):
            self._unclaimed.handle(queue_name, [message])

    def _keep(self, queue_name: str, dead: DeadLetteredMessage, reason: str, description: str) -> None:
        keep(self._database, queue_name, dead.raw, reason, description)


def _delay(dead_letters: int) -> timedelta:
    return timedelta(seconds=_FIRST_DELAY_SECONDS * 2 ** max(dead_letters - 1, 0))


def _text(dead: DeadLetteredMessage) -> str:
    return f"the broker gave up on its message: {dead.reason}: {dead.description}"
