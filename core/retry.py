"""How a task type is retried."""

from dataclasses import dataclass

from core.lanes import Lane


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter.

    The wait before attempt n + 1 is drawn evenly from 0 to `base_seconds * factor ** (n - 1)`, capped
    at `cap_seconds`. Full jitter keeps retries of a fan-out apart; see M. Brooker, "Exponential Backoff
    And Jitter", AWS Architecture Blog, 2015.
    """

    base_seconds: float = 2.0
    factor: float = 2.0
    cap_seconds: float = 300.0

    def delay_seconds(self, attempt: int, fraction: float) -> float:
        """The wait after a failed attempt.

        Args:
            attempt: the attempt that failed, from 1.
            fraction: where in the range to be, 0 to 1; random in use, fixed in tests.
        """
        # 2.0 ** 1024 overflows; any exponent past 60 is over every sensible cap anyway.
        ceiling = self.base_seconds * self.factor ** min(attempt - 1, 60)
        return min(ceiling, self.cap_seconds) * fraction


@dataclass(frozen=True)
class TaskPolicy:
    """What a task type declares about its runs.

    Attributes:
        max_attempts: how often a task's handler may fail before the task fails for good. A run that was interrupted
            does not count.
        backoff: the waits between attempts.
        lane: how it is consumed; `Lane.LONG` for what may outlast a message lock (60 s).
    """

    max_attempts: int = 3
    backoff: Backoff = Backoff()
    lane: Lane = Lane.FAST
