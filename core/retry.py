"""When and how often a task is retried."""

from dataclasses import dataclass

from core.lanes import Lane


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter.

    The wait before attempt n + 1 is uniformly random between 0 and `base_seconds * factor ** (n - 1)`, capped
    at `cap_seconds`. Full jitter spreads the retries of many tasks that fail at once; see M. Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base_seconds: float = 2.0
    factor: float = 2.0
    cap_seconds: float = 300.0

    def delay_seconds(self, attempt: int, fraction: float) -> float:
        """Returns the wait after a failed attempt.

        Args:
            attempt: the attempt that failed, from 1.
            fraction: the place in the range, 0 to 1; random in the app, fixed in tests.
        """
        # 2.0 ** 1024 overflows; an exponent of 60 is already over every sensible cap.
        ceiling = self.base_seconds * self.factor ** min(attempt - 1, 60)
        return min(ceiling, self.cap_seconds) * fraction


@dataclass(frozen=True)
class TaskPolicy:
    """How the tasks of a type run.

    Attributes:
        max_attempts: how often the handler may fail before the task fails. Interrupted runs do not count.
        backoff: the waits between attempts.
        lane: `Lane.LONG` for tasks that may outlast a message lock (60 s).
    """

    max_attempts: int = 3
    backoff: Backoff = Backoff()
    lane: Lane = Lane.FAST
