"""When and how often a task is retried."""

from dataclasses import dataclass

from core.declared import require_flag, require_number, require_type, require_whole_number
from core.errors import ConfigurationError
from core.lanes import Lane
from core.task_limits import NO_LIMIT, TaskLimit

MAX_WAIT_SECONDS = 2_592_000
"""The longest wait between two attempts: 30 days. PostgreSQL cannot store every number of seconds."""

MAX_FACTOR = 100
"""With it, `base_seconds * factor ** 60` is a number that a float can hold."""

MAX_ATTEMPTS = 1_000

MIN_TIMEOUT_SECONDS = 0.1

MIN_MEMORY_MIB = 64
"""A child process with nothing but the interpreter and Lockstep takes 20 MiB."""

MAX_MEMORY_MIB = 1_048_576


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter.

    The wait before attempt n + 1 is uniformly random between 0 and `base_seconds * factor ** (n - 1)`, capped
    at `cap_seconds`. Full jitter spreads the retries of many tasks that fail at once; see M. Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    The waits are at most `MAX_WAIT_SECONDS`, the factor is from 1 to `MAX_FACTOR`.
    """

    base_seconds: float = 2.0
    factor: float = 2.0
    cap_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuses waits that PostgreSQL or a float cannot hold.

        Raises:
            ConfigurationError: names the wrong value and the right ones.
        """
        require_number("Backoff.base_seconds", self.base_seconds, 0, MAX_WAIT_SECONDS)
        require_number("Backoff.factor", self.factor, 1, MAX_FACTOR)
        require_number("Backoff.cap_seconds", self.cap_seconds, 0, MAX_WAIT_SECONDS)

    def delay_seconds(self, attempt: int, fraction: float) -> float:
        """Returns the wait after a failed attempt.

        Args:
            attempt: the attempt that failed, from 1.
            fraction: the place in the range, 0 to 1; random in the app, fixed in tests.
        """
        # 2.0 ** 1024 overflows; with an exponent of 60, a factor of 2 is already over the longest wait.
        ceiling = self.base_seconds * self.factor ** min(attempt - 1, 60)
        return min(ceiling, self.cap_seconds) * fraction


@dataclass(frozen=True)
class TaskPolicy:
    """How the tasks of a type run.

    Attributes:
        max_attempts: how often the handler may fail before the task fails, 1 to 1,000. Interrupted runs do not count.
        backoff: the waits between attempts.
        lane: `Lane.LONG` for tasks that may outlast a message lock (60 s).
        timeout_seconds: how long a run may take; None for no limit.
        isolated: whether each task runs in a child process.
        max_memory_mib: how much memory the child process of an isolated task may take; None for no limit.
        limit: how many tasks of the type run at once, and start in a time, on all instances together.
    """

    max_attempts: int = 3
    backoff: Backoff = Backoff()
    lane: Lane = Lane.FAST
    timeout_seconds: float | None = None
    isolated: bool = False
    max_memory_mib: int | None = None
    limit: TaskLimit = NO_LIMIT

    def __post_init__(self) -> None:
        """Refuses a policy that no task can run by.

        Raises:
            ConfigurationError: names the wrong value and the right ones.
        """
        require_whole_number("max_attempts of a task type", self.max_attempts, 1, MAX_ATTEMPTS)
        require_type("backoff of a task type", self.backoff, Backoff, "a Backoff")
        require_type("lane of a task type", self.lane, Lane, "Lane.FAST or Lane.LONG")
        if self.timeout_seconds is not None:
            require_number("timeout of a task type", self.timeout_seconds, MIN_TIMEOUT_SECONDS, MAX_WAIT_SECONDS)
        require_flag("isolated of a task type", self.isolated)
        if self.max_memory_mib is not None:
            require_whole_number("max_memory_mib of a task type", self.max_memory_mib, MIN_MEMORY_MIB, MAX_MEMORY_MIB)
            if not self.isolated:
                raise ConfigurationError("max_memory_mib of a task type is the limit of a process: add isolated=True")
