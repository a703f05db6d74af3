"""Task types: a decorator declares one at its handler, so its name is written once."""

from collections.abc import Callable
from dataclasses import dataclass

from controllers.context import Handler, JsonValue, TaskContext, TaskParameters
from controllers.task_items import BatchHandler, one_by_one
from core.declared import require_name
from core.definitions import TaskDefinition
from core.lanes import Lane
from core.retry import Backoff, TaskPolicy
from core.task_limits import Rate, TaskLimit

_DEFAULT = TaskPolicy()


@dataclass(frozen=True)
class TaskType:
    """A kind of task: its name, its handler, its retries and its lane. `task_type` or `batch_handler` makes one.

    If `batch_handler` is not None, the engine calls it, with many tasks at once.
    """

    name: str
    handler: Handler
    policy: TaskPolicy = _DEFAULT
    batch_handler: BatchHandler | None = None

    def __post_init__(self) -> None:
        """Refuses a name that no row can hold.

        Raises:
            ConfigurationError: names the wrong name.
        """
        require_name("the name of a task type", self.name)

    def __call__(self, context: TaskContext, parameters: TaskParameters) -> JsonValue:
        """Runs the handler."""
        return self.handler(context, parameters)

    def task(self, index: int, parameters: TaskParameters, cursor: JsonValue = None) -> TaskDefinition:
        """Defines a task of this type.

        Args:
            index: its place in the stage: 0, 1, 2, ... in the order in which the stage yields its tasks.
            parameters: JSON-able; the handler gets a copy of them.
            cursor: JSON-able, up to 4 KiB; lets a long stage go on after this task: see `StageContext.cursor`.
        """
        return TaskDefinition(self.name, parameters, index, cursor)


def task_type(  # noqa: PLR0913 - authors write each option by its name
    name: str,
    *,
    max_attempts: int = _DEFAULT.max_attempts,
    backoff: Backoff = _DEFAULT.backoff,
    lane: Lane = _DEFAULT.lane,
    timeout: float | None = None,
    isolated: bool = False,
    max_memory_mib: int | None = None,
    max_running: int | None = None,
    rate: Rate | None = None,
) -> Callable[[Handler], TaskType]:
    """Makes a task type of the handler that it decorates.

    For a second task type with the same handler, call it: `task_type("a.large", lane=Lane.LONG)(small.handler)`.

    Args:
        name: unique among all job types, by convention `{job_type}.{verb}`; stored in the rows of the tasks.
        max_attempts: how often the handler may fail before a task fails for good, 1 to 1,000.
        backoff: the waits between attempts.
        lane: `Lane.LONG` for a task that may outlast a message lock (60 s).
        timeout: the seconds that a run may take; a run that takes longer has failed, and is retried like any failure.
            An isolated task is ended then; another one learns of it from `is_cancelled`, and keeps its thread until it
            returns.
        isolated: runs each task in a child process, so that a crash or a lack of memory ends that process alone.
        max_memory_mib: the memory that the child process of an isolated task may take, the interpreter included.
        max_running: how many tasks of this type run at once, on all instances together.
        rate: how many tasks of this type start in so many seconds, on all instances together.

    Raises:
        ConfigurationError: a value cannot work; the error names it and the right ones.
    """

    def declare(handler: Handler) -> TaskType:
        limit = TaskLimit(max_running, rate)
        policy = TaskPolicy(max_attempts, backoff, lane, timeout, isolated, max_memory_mib, limit)
        return TaskType(name, handler, policy)

    return declare


def batch_handler(
    name: str,
    *,
    max_attempts: int = _DEFAULT.max_attempts,
    backoff: Backoff = _DEFAULT.backoff,
    max_running: int | None = None,
    rate: Rate | None = None,
) -> Callable[[BatchHandler], TaskType]:
    """Makes a task type of the batch handler that it decorates: `def load(items: TaskItems) -> ItemOutcomes`.

    The handler gets all tasks of this type that an invocation has claimed in one stage of a job, up to 100, and gives
    one outcome for each, in their order: a result, or an exception instance, which fails or retries that task alone. It
    returns a list, or yields the outcomes one by one. If it raises, the tasks without an outcome fail or are retried;
    so yield an outcome only when its work is stored. If it gives too few or too many outcomes, none of them counts.

    When `is_cancelled` of any item tells the handler to end early, it may stop giving outcomes: the tasks without one
    are released. Its tasks run in the fast lane, because each message of the long lane is delivered alone.

    Args:
        name: as for `task_type`.
        max_attempts: as for `task_type`.
        backoff: as for `task_type`.
        max_running: as for `task_type`; so a list has at most as many tasks as slots are free.
        rate: as for `task_type`.

    Raises:
        ConfigurationError: a value cannot work; the error names it and the right ones.
    """

    def declare(handler: BatchHandler) -> TaskType:
        policy = TaskPolicy(max_attempts, backoff, limit=TaskLimit(max_running, rate))
        return TaskType(name, one_by_one(handler), policy, handler)

    return declare
