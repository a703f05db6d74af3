import logging
import random
from collections.abc import Callable, Sequence

from controllers.context import TaskContext
from controllers.services import Services
from controllers.task_type import TaskType
from core import json_text
from core.error_records import describe, describe_for_log
from core.errors import (
    ContinueLater,
    InvalidInputError,
    LockstepError,
    PermanentTaskError,
    TaskInterruptedError,
    TaskResultError,
    TaskTimeoutError,
    UnknownTaskTypeError,
)
from core.redaction import Redaction
from core.retry import Backoff, TaskPolicy
from core.statuses import TaskStatus
from core.task_runs import ClaimedTask, TaskOutcome
from engine.process.job_secrets import JobSecrets
from engine.tasks.cancellation import Cancellation
from engine.tasks.isolation import Isolation
from engine.tasks.run_states import LeasedRunState, RunStates
from engine.tasks.task_reads import JobReader, TaskReads

logger = logging.getLogger(__name__)


_UNKNOWN = TaskPolicy(max_attempts=8, backoff=Backoff(base_seconds=4, cap_seconds=60))
"""The policy of task types that this host does not know: during a deployment, another host may know them."""


MAX_INTERRUPTIONS = 5
"""How many interrupted runs of a task are tolerated. After one more, the task is taken for their cause, and fails. The
number is below the 10 deliveries after which the broker gives up on a message. Interrupted tasks run one at a time in a
process (`engine/tasks/worker.py`), so none is blamed for what another one does."""


class HandlerRunner:
    """Runs the handler of one task and turns its result or exception into an outcome; safe to use from several threads.

    Args:
        task_type: looks up a task type by name.
        services: passed to handlers.
        secrets: kept out of errors.
        reader: reads what handlers ask for.
        states: writes checkpoints and progress; gives the maximum size of a checkpoint and of a result.
        isolation: runs the tasks of isolated task types.
    """

    def __init__(
        self,
        task_type: Callable[[str], TaskType | None],
        services: Services,
        secrets: JobSecrets,
        reader: JobReader,
        states: RunStates,
        isolation: Isolation,
    ) -> None:
        self._task_type = task_type
        self._services = services
        self._secrets = secrets
        self._reader = reader
        self._states = states
        self._isolation = isolation

    def run(self, task: ClaimedTask, lease_id: str, is_cancelled: Cancellation) -> TaskOutcome | None:
        """Runs a task once; its own failure is an outcome, never an exception.

        A task whose runs were interrupted too often fails without another run.

        Returns:
            The outcome; None if the task must be released, because PostgreSQL could not be read for its handler.
        """
        if task.interruptions > MAX_INTERRUPTIONS:
            logger.error("task %s fails: %d runs were interrupted", task.task_id, task.interruptions)
            error = describe(TaskInterruptedError(task.interruptions))
            return TaskOutcome(task.task_id, TaskStatus.FAILED, error=json_text.encode(error))
        declared = self.declared(task)
        if declared is None:
            return self.failed(task, _UNKNOWN, UnknownTaskTypeError(task.task_type))
        reads = self.reads(task)
        state = self.state(task, lease_id, reads.given_up)
        if declared.policy.isolated:
            return self._run_isolated(declared, task, state, is_cancelled, reads.given_up)
        return self._run_here(declared, task, state, is_cancelled, reads)

    def _run_here(
        self, declared: TaskType, task: ClaimedTask, state: LeasedRunState, is_cancelled: Cancellation, reads: TaskReads
    ) -> TaskOutcome | None:
        try:
            result = declared.handler(self.context(task, is_cancelled, reads, state), task.parameters)
        # Even SystemExit: an exception of a handler fails its own task, and no other.
        except BaseException as exc:  # noqa: BLE001 - see above
            if _must_release(task, reads.given_up):
                return None
            return self.raised(task, declared.policy, exc, state)
        if _must_release(task, reads.given_up):
            return None
        return self.completed(task, declared.policy, result)

    def _run_isolated(
        self,
        declared: TaskType,
        task: ClaimedTask,
        state: LeasedRunState,
        is_cancelled: Cancellation,
        given_up: Sequence[LockstepError],
    ) -> TaskOutcome | None:
        try:
            encoded = self._isolation.run(declared, task, is_cancelled, state)
        except BaseException as exc:  # noqa: BLE001 - as of every handler
            return None if _must_release(task, given_up) else self.raised(task, declared.policy, exc, state)
        if _must_release(task, given_up):
            return None
        return TaskOutcome(task.task_id, TaskStatus.COMPLETED, result=encoded)

    def declared(self, task: ClaimedTask) -> TaskType | None:
        """Returns the type of a task, or None."""
        return self._task_type(task.task_type)

    def reads(self, task: ClaimedTask) -> TaskReads:
        """Returns what one call of a handler may read, for a task and others of its stage."""
        return TaskReads(self._reader, task)

    def state(self, task: ClaimedTask, lease_id: str, given_up: list[LockstepError]) -> LeasedRunState:
        """Returns the checkpoint and the progress of one run of a task; see `RunStates.of`."""
        return self._states.of(task, lease_id, self._redaction, given_up)

    def context(
        self, task: ClaimedTask, is_cancelled: Callable[[], bool], reads: TaskReads, state: LeasedRunState
    ) -> TaskContext:
        """Builds the context of one run of a task."""
        # Not by its constructor: that of a frozen dataclass sets each field by a call, and takes twice as long.
        context = TaskContext.__new__(TaskContext)
        vars(context).update(
            job_id=task.job_id,
            task_id=task.task_id,
            batch_id=task.batch_id,
            stage=task.stage,
            task_index=task.task_index,
            attempt=task.attempt,
            services=self._services,
            is_cancelled=is_cancelled,
            previous_results=reads.previous_results,
            read_job_parameters=reads.job_parameters,
            state=state,
        )
        return context

    def completed(self, task: ClaimedTask, policy: TaskPolicy, result: object) -> TaskOutcome:
        """Makes the outcome of a handler's result; one that cannot be stored fails its task."""
        try:
            encoded = self._encode(result)
        except BaseException as exc:  # noqa: BLE001 - the methods of a result are an author's code
            return self.failed(task, policy, exc)
        return TaskOutcome(task.task_id, TaskStatus.COMPLETED, result=encoded)

    def timeout_seconds(self, task: ClaimedTask) -> float | None:
        """Returns the timeout of a task that runs on a thread; isolation holds those of the others."""
        declared = self._task_type(task.task_type)
        return None if declared is None or declared.policy.isolated else declared.policy.timeout_seconds

    def timed_out(self, task: ClaimedTask) -> TaskOutcome:
        """Returns the outcome of a run that took longer than its timeout."""
        declared = self._task_type(task.task_type)
        assert declared is not None, "an unknown task type has no timeout"
        assert declared.policy.timeout_seconds is not None, "it has run out"
        return self.failed(task, declared.policy, TaskTimeoutError(declared.policy.timeout_seconds))

    def raised(
        self,
        task: ClaimedTask,
        policy: TaskPolicy,
        exc: BaseException,
        state: LeasedRunState,
        trace: str | None = None,
    ) -> TaskOutcome:
        """Makes the outcome of what a handler raised: the task has failed, unless this is `ContinueLater`."""
        if isinstance(exc, ContinueLater):
            try:
                return state.continued(exc)
            except LockstepError as refused:
                exc = refused
        return self.failed(task, policy, exc, trace)

    def _encode(self, result: object) -> str:
        try:
            return json_text.encode(result, what="the result", max_bytes=self._states.max_bytes)
        except InvalidInputError as exc:
            raise TaskResultError(str(exc)) from exc

    def failed(
        self, task: ClaimedTask, policy: TaskPolicy, exc: BaseException, trace: str | None = None
    ) -> TaskOutcome:
        """Makes the outcome of an exception: the task is tried again, or fails for good.

        Args:
            task: the task.
            policy: of its type.
            exc: the exception.
            trace: what the log says of it; by default, the redacted traceback.
        """
        redaction = self._redaction(task)
        error, trace = json_text.encode(describe(exc, redaction)), trace or describe_for_log(exc, redaction)
        failures = task.failures + 1
        if isinstance(exc, PermanentTaskError) or failures >= policy.max_attempts:
            logger.warning("task %s failed in attempt %d: %s", task.task_id, task.attempt, trace)
            return TaskOutcome(task.task_id, TaskStatus.FAILED, error=error)
        delay = policy.backoff.delay_seconds(failures, random.random())  # noqa: S311 - jitter, not a secret
        logger.info("task %s is tried again in %.1f s: %s", task.task_id, delay, trace)
        return TaskOutcome(task.task_id, TaskStatus.RETRYING, error=error, retry_delay_seconds=delay)

    def _redaction(self, task: ClaimedTask) -> Redaction | None:
        try:
            return self._secrets.of_task(task)
        except LockstepError as exc:
            logger.warning("the job of task %s cannot be read: %s", task.task_id, exc)
            return None


def _must_release(task: ClaimedTask, given_up: Sequence[LockstepError]) -> bool:
    if not given_up:
        return False
    logger.warning("task %s is released, because PostgreSQL is unavailable: %s", task.task_id, given_up[0])
    return True
