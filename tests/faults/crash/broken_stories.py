"""A story that breaks off: whether a busy machine has ended it before its strike, and it may be played again."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOG_CHARACTERS = 6_000
_LIMIT_EXCEEDED = re.compile(
    # The last line of a traceback, of our error or of the Service Bus client's.
    r"^(?:\w+\.)*(?:LockTimeoutError|StatementTimeoutError|QueueTimeoutError|OperationTimeoutError)\b"
    # An error that is logged by its text alone: PostgreSQL's own limits, ours, and those of a send.
    r"|due to (?:lock|statement) timeout"
    # What libpq says after a pause in a transaction; in a world nothing else closes a connection.
    r"|server closed the connection unexpectedly"
    r"|(?:PostgreSQL|Service Bus) did not answer within "
    r"|the connection to \S+ was not open in time"
    r"|Service Bus did not take the batch for \S+ in time",
    re.MULTILINE,
)


class StoryError(Exception):
    """A story breaks off; the message ends with the end of the log.

    Attributes:
        what: the reason.
        log: all that the processes of the story have logged.
    """

    def __init__(self, what: str, log: str) -> None:
        super().__init__(what, log)  # both, so that it can be pickled
        self.what = what
        self.log = log

    def __str__(self) -> str:
        return f"{self.what}:\n{self.log[-_LOG_CHARACTERS:]}"


class LifeError(StoryError):
    """A process ended with an error."""


class KilledError(StoryError):
    """A process did not end by itself: a fault of memory ended it, or it hung and was killed."""


class OtherCourseError(StoryError):
    """A process does not pass the point at which the story lets it die."""


class RestlessError(StoryError):
    """After as many lives, not all is at rest."""


class UnplayedError(Exception):
    """A story broke off before its strike, because a call exceeded its limit."""


@contextmanager
def played(is_struck: Callable[[], bool]) -> Iterator[None]:
    """Plays a story in a block.

    Args:
        is_struck: whether the fault of the trial has happened.

    Raises:
        UnplayedError: it broke off as `is_unplayed` says; it may be played again.
        StoryError: it broke off otherwise.
    """
    try:
        yield
    except StoryError as exc:
        if is_unplayed(exc, is_struck=is_struck()):
            raise UnplayedError(str(exc)) from exc
        raise


def is_unplayed(exc: StoryError, *, is_struck: bool) -> bool:
    """Whether a call exceeded its limit before the strike, so that the story took another course or broke off.

    What the strike leads to is never such an error. Neither is a process that hangs, nor a story without an end. In a
    story whose broker refuses sends, a send exceeds a scaled limit in any case.
    """
    breaks_off = isinstance(exc, LifeError | OtherCourseError)
    return breaks_off and not is_struck and _LIMIT_EXCEEDED.search(exc.log) is not None


def most_played_again(trials: int) -> int:
    """How many times trials may be played again, all together: if it is more, nobody knows what they hide."""
    return max(3, trials // 10)
