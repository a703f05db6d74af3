"""Messages that the broker gave up on: nothing hangs because a message died.

What they ask for is done if it still has to be: the message is sent again, later each time and so many times; then
what it stood for fails, with the broker's reason.
"""

import logging
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from core import json_text
from core.errors import JobFailure, MessageFormatError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, ReceivedMessage, TaskMessage
from core.models import TaskOutcome
from core.statuses import JOB_ENDS, TASK_ENDS, StageStatus, TaskStatus
from engine.process.keeping import ORPHAN, UNREADABLE, keep
from engine.process.limits import Limits
from engine.process.sending import send
from engine.process.transactions import transact
from engine.stages.job_endings import JobEndings
from engine.tasks.recorder import Recorder
from engine.tasks.unclaimed_messages import UnclaimedMessages
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)

MAX_RESENDS = 5
"""How often what a dead message asked for is sent again: after 10, 20, 40, 80 and 160 s. Each of them is delivered ten
times before it is dead as well, so it takes a fault of many minutes to make a task fail by this."""

_FIRST_DELAY_SECONDS = 10


class DeadLetteredError(JobFailure):
    """The broker gave up on every message of the job's stage."""


@dataclass(frozen=True)
class DeadMessage:
    """A message of a dead-letter queue, and why it is there."""

    raw: ReceivedMessage
    reason: str
    description: str


class DeadLetters:
    """Handles the messages of dead-letter queues.

    Args:
        database: the rows.
        queue: where what is sent again goes.
        recorder: records the tasks that fail.
        endings: ends the jobs that fail.
        limits: the length of a lease.
    """

    def __init__(
        self, database: Database, queue: MessageQueue, recorder: Recorder, endings: JobEndings, limits: Limits
    ) -> None:
        self._database = database
        self._queue = queue
        self._recorder = recorder
        self._endings = endings
        self._lease_seconds = limits.lease_seconds
        self._unclaimed = UnclaimedMessages(database, queue)

    def task(self, queue_name: str, dead: DeadMessage) -> None:
        """Handles a task message; returning completes it.

        Args:
            queue_name: the queue in whose dead-letter queue it lies.
            dead: the message.

        Raises:
            LockstepError: infrastructure failed; the message stays.
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
            self._unclaimed.handle(queue_name, [message])  # did its stage go on?
        elif message.send < task.sends:
            logger.info("task %s was sent again since; its dead message %d is dropped", task.task_id, message.send)
        elif not self._send_again(queue_name, message, dead):
            self._fail(queue_name, message, dead)

    def job(self, dead: DeadMessage) -> None:
        """Handles a message of sb-jobs; returning completes it.

        Raises:
            LockstepError: infrastructure failed; the message stays.
        """
        try:
            message = JobMessage.decode(dead.raw.body)
        except MessageFormatError as exc:
            self._keep(JOBS_QUEUE, dead, UNREADABLE, str(exc))
            return
        with self._database.transaction() as work:
            job = work.jobs.get(message.job_id)
            stage = work.stages.get(message.job_id, message.stage)
            now = work.now()
        if job is None:
            self._keep(JOBS_QUEUE, dead, ORPHAN, f"there is no job {message.job_id}")
        elif job.status in JOB_ENDS:
            logger.info("job %s has ended; its dead %s is dropped", message.job_id, message.action)
        elif job.stage > message.stage or (stage is not None and stage.status == StageStatus.RUNNING):
            logger.info("stage %d of job %s went on; its dead %s is dropped", message.stage, job.job_id, message.action)
        elif message.deaths < MAX_RESENDS:
            logger.warning("%s of job %s is sent again: %s", message.action, message.job_id, dead.reason)
            again = replace(message, deaths=message.deaths + 1)
            send(self._queue, JOBS_QUEUE, [again.outgoing(now + _delay(again.deaths))])
        else:
            self._keep(JOBS_QUEUE, dead, dead.reason, dead.description)
            if message.action != JobAction.CANCEL:  # the sweeper goes on with what there is left to cancel
                self._endings.fail(message.job_id, message.stage, DeadLetteredError(_text(dead)))

    def _send_again(self, queue_name: str, message: TaskMessage, dead: DeadMessage) -> bool:
        # Together: what the broker does not take must not count, or a broker that is away would spend all resends.
        with self._database.transaction() as work:
            counted = work.tasks.count_dead_letter(message.task_id, most=MAX_RESENDS)
            if counted is None:
                return False
            again = replace(message, send=counted.send, misses=0).outgoing(work.now() + _delay(counted.dead_letters))
            # A commit that fails after the send would count the same number again.
            again = replace(again, message_id=f"{again.message_id}-{uuid.uuid4().hex[:8]}")
            send(self._queue, queue_name, [again])
        logger.warning("task %s is sent again (%d): %s", message.task_id, counted.dead_letters, dead.reason)
        return True

    def _fail(self, queue_name: str, message: TaskMessage, dead: DeadMessage) -> None:
        lease_id = uuid.uuid4().hex
        claimed = transact(
            self._database, lambda work: work.tasks.claim([message.task_id], lease_id, self._lease_seconds)
        )
        if not claimed:  # somebody is at it, or it waits for its time: this message says nothing against that
            self._unclaimed.handle(queue_name, [message])
            return
        self._keep(queue_name, dead, dead.reason, dead.description)
        error = {"type": DeadLetteredError.__name__, "message": _text(dead)}
        outcome = TaskOutcome(message.task_id, TaskStatus.FAILED, error=json_text.encode(error))
        if not self._recorder.record(queue_name, lease_id, [outcome]):
            self._unclaimed.handle(queue_name, [message])

    def _keep(self, queue_name: str, dead: DeadMessage, reason: str, description: str) -> None:
        keep(self._database, queue_name, dead.raw, reason, description)


def _delay(times: int) -> timedelta:
    return timedelta(seconds=_FIRST_DELAY_SECONDS * 2 ** (times - 1))


def _text(dead: DeadMessage) -> str:
    return f"the broker gave up on its message: {dead.reason}: {dead.description}"
