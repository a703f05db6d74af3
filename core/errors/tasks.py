"""Errors of a job type's tasks, and signals of their handlers."""

from typing import Any

from core.errors.root import LockstepError


class PermanentTaskError(LockstepError):
    """A task handler raises this error when a retry is useless; the task fails at once."""


class UnknownTaskTypeError(LockstepError):
    """No handler is registered for the task type; another version of the app may have it.

    Attributes:
        task_type: the unknown type.
    """

    def __init__(self, task_type: str) -> None:
        super().__init__(f"no handler is registered for task type {task_type!r}")
        self.task_type = task_type


class NoPreviousStageError(PermanentTaskError):
    """A task of stage 1 asks for the results of the stage before."""

    def __init__(self) -> None:
        super().__init__("a task of stage 1 has no previous results: there is no stage before it")


class BatchHandlerError(LockstepError):
    """A batch handler does not give one outcome for each of its tasks."""


class TaskResultError(PermanentTaskError):
    """A handler's result cannot be stored: it is not JSON, or it is over the size limit."""


class CheckpointError(PermanentTaskError):
    """A task's checkpoint cannot be stored: it is not JSON, it is over the size limit, or PostgreSQL refuses it."""


class ContinueLater(LockstepError):  # noqa: N818 - a signal, not an error
    """A handler raises this signal when the task has to go on in another run.

    The run ends without a result and spends no attempt. The next run begins soon, with the state as its checkpoint.

    Attributes:
        state: anything that JSON can express.
    """

    def __init__(self, state: Any) -> None:
        super().__init__(state)
        self.state = state

    def __str__(self) -> str:
        return "the task goes on in another run"


class IdleContinuationsError(PermanentTaskError):
    """A task goes on in another run again and again, and its checkpoint stays the same."""

    def __init__(self, continuations: int) -> None:
        super().__init__(
            f"{continuations} runs of this task in a row raised ContinueLater with the same state; a task that goes on "
            "later must change its checkpoint"
        )


class TaskLeaseLostError(LockstepError):
    """The lease of a running task was lost: another run begins, and the outcome of this one does not count."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"the lease of task {task_id} was lost, so this run must end; its outcome does not count")


class OutcomeRefusedError(PermanentTaskError):
    """PostgreSQL refuses to record how the task ended."""


class TaskTimeoutError(LockstepError):
    """A run of a task took longer than the timeout of its task type.

    Attributes:
        timeout_seconds: the timeout.
    """

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(f"the task took longer than its timeout of {timeout_seconds:g} s")
        self.timeout_seconds = timeout_seconds


class TaskMemoryError(LockstepError):
    """An isolated task needed more memory than its task type allows.

    Attributes:
        max_memory_mib: the limit.
    """

    def __init__(self, max_memory_mib: int) -> None:
        super().__init__(f"the task needed more memory than its max_memory_mib of {max_memory_mib:,} MiB")
        self.max_memory_mib = max_memory_mib


class TaskCrashedError(LockstepError):
    """The child process of an isolated task ended before the task did."""


class NotInIsolationError(PermanentTaskError):
    """A handler asks for something that an isolated task does not have; a retry would ask for it again."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"an isolated task has no {what}: it runs in a process of its own. Open a connection of your own in the "
            "handler, or leave isolated=True out"
        )


class RelayedError(LockstepError):
    """What the handler of an isolated task raised in its child process.

    Attributes:
        type_name: the name of the class that it raised.
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(message)
        self.type_name = type_name


class RelayedPermanentError(RelayedError, PermanentTaskError):
    """The same, for a class that derives from `PermanentTaskError`."""


class TaskInterruptedError(PermanentTaskError):
    """Too many workers died or lost their lease while they ran the task."""

    def __init__(self, interruptions: int) -> None:
        super().__init__(
            f"{interruptions} runs of this task were interrupted; it seems to kill its worker process, "
            "or to outlast its lease"
        )
        self.interruptions = interruptions


class HookInterruptedError(LockstepError):
    """The hook of a job kills its process, or outlasts its time."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"{tries} tries of the hook did not end; it seems to kill its process, or to outlast its time")
