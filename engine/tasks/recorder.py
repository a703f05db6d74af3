import logging
from collections.abc import Callable, Sequence

from core.errors import DatabaseError, LockTimeoutError, QueueError, RefusedValueError
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, OutgoingMessage, TaskMessage
from core.statuses import TaskStatus
from core.task_runs import RecordedTask, TaskOutcome
from core.telemetry import Timed, telemetry
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from engine.process.sending import send
from engine.tasks.refused_outcomes import Written, write_jobs_apart
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 1.0
"""The longest pause between two tries in an outage. Workers that wait to claim the same tasks pause longer, so the
outcomes are recorded first."""


class Recorder:
    """Records the outcomes of tasks, and sends the messages that follow.

    These are the retries, ADVANCE for a stage that has ended, and DISPATCH for one that has room for more tasks.
    """

    def __init__(self, database: Database, queue: MessageQueue, limits: Limits, outages: OutageWaiter) -> None:
        self._database = database
        self._queue = queue
        self._silence_seconds = limits.silence_seconds
        self._lease_seconds = limits.lease_seconds
        self._outages = outages

    def record(self, queue_name: str, lease_id: str, outcomes: Sequence[TaskOutcome]) -> set[str]:
        """Records the outcomes of the tasks whose lease is still held, in one transaction.

        If PostgreSQL refuses a value, the outcomes are recorded job by job, then task by task: a refused outcome fails
        its own task and no other. If another transaction holds a row for long, the outcomes are recorded job by job,
        and only those of the row's job wait.

        While PostgreSQL is unavailable, it repeats the transaction until the sweeper takes the tasks for lost, even if
        the message lock ends before: finished work is worth more than the lock. A database whose disk is full may
        refuse outcomes and still accept claims; then other workers would run the tasks again and again, in vain. So the
        lease is renewed while this method waits, and the tasks are released if it gives up.

        Args:
            queue_name: the queue for the messages of retries.
            lease_id: the lease.
            outcomes: the outcomes of tasks that were claimed with this lease.

        Returns:
            The ids of the recorded tasks. Another worker took the others over; or an earlier try committed them, its
            acknowledgement was lost, and the messages that follow were not sent.

        Raises:
            LockstepError: infrastructure failed; committed outcomes stay, and their messages are sent later.
        """
        task_ids = sorted(outcome.task_id for outcome in outcomes)
        until = self._outages.deadline(self._silence_seconds)

        def write(part: Sequence[TaskOutcome]) -> Written:
            return self._outages.run(
                lambda: self._write_or_keep_lease(lease_id, part, task_ids), until, _LONGEST_PAUSE_SECONDS
            )

        def write_now(part: Sequence[TaskOutcome]) -> Written | None:
            return self._outages.run(lambda: self._write_now(lease_id, part, task_ids), until, _LONGEST_PAUSE_SECONDS)

        recorded: set[str] = set()
        unsent: QueueError | None = None
        try:
            for tasks, job_messages in write_jobs_apart(write, write_now, outcomes):
                telemetry().recorded(outcomes, tasks)
                recorded |= {task.task_id for task in tasks}
                try:
                    send(self._queue, queue_name, _retries(tasks))
                    send(self._queue, JOBS_QUEUE, [message.outgoing() for message in job_messages])
                except QueueError as exc:  # after it, other outcomes may still have to be recorded
                    unsent = unsent or exc
        except Exception:
            self._try_to(lambda work: work.tasks.release(task_ids, lease_id))
            raise
        if len(recorded) < len(outcomes):
            logger.warning(
                "%d outcomes are not recorded: their leases are lost, or they are refused",
                len(outcomes) - len(recorded),
            )
        if unsent:
            raise unsent
        return recorded

    def _write_now(self, lease_id: str, outcomes: Sequence[TaskOutcome], task_ids: Sequence[str]) -> Written | None:
        """Writes outcomes; returns None when one of them is refused, or must wait for a lock."""
        try:
            return self._write_or_keep_lease(lease_id, outcomes, task_ids)
        except (LockTimeoutError, RefusedValueError):
            return None

    def _write_or_keep_lease(self, lease_id: str, outcomes: Sequence[TaskOutcome], task_ids: Sequence[str]) -> Written:
        try:
            with telemetry().timed(Timed.RECORD):
                return transact(self._database, lambda work: _write(work, lease_id, outcomes))
        except DatabaseError as exc:
            if exc.waited_out:
                self._try_to(lambda work: work.tasks.renew_leases(task_ids, lease_id, self._lease_seconds))
            raise

    def _try_to(self, action: Callable[[UnitOfWork], object]) -> None:
        try:
            transact(self._database, action)
        except DatabaseError as exc:
            logger.debug("the leases of unrecorded tasks are left as they are: %s", exc)


def _write(work: UnitOfWork, lease_id: str, outcomes: Sequence[TaskOutcome]) -> Written:
    """Writes outcomes to tasks, then batches, then stages; returns the recorded tasks, and messages of the stages."""
    recorded = work.outcomes.record(lease_id, outcomes)
    messages: list[JobMessage] = []
    for stage in recorded.stages:
        if stage.may_end and work.stages.finish_if_complete(stage.opening.key):
            messages.append(JobMessage.about(stage.opening, JobAction.ADVANCE))
        elif stage.has_room:
            messages.append(JobMessage.about(stage.opening, JobAction.DISPATCH))
    return recorded.tasks, messages


def _retries(tasks: Sequence[RecordedTask]) -> list[OutgoingMessage]:
    return [
        TaskMessage(task.task_id, task.batch_id, task.send).outgoing(task.not_before)
        for task in tasks
        if task.status == TaskStatus.RETRYING
    ]
