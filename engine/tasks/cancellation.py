"""Whether a run of a task is still wanted, and what its handler was told of that."""

import time
from collections.abc import Callable

from engine.process.shutdown import Shutdown


class Cancellation:
    """The `is_cancelled` of one run; remembers what it told.

    Args:
        shutdown: tells whether the process shuts down.
        is_wanted: tells whether the run still holds its lease, and its stage goes on.
        deadline: when the timeout of the run is over, by `time.monotonic`; None without a timeout.

    Attributes:
        told_of_shutdown: whether an answer was true because the process shuts down.
        told_of_stop: whether an answer was true because the run is not wanted any more.
        told_of_timeout: whether an answer was true because the timeout was over.
    """

    def __init__(self, shutdown: Shutdown, is_wanted: Callable[[], bool], deadline: float | None = None) -> None:
        self._shutdown = shutdown
        self._is_wanted = is_wanted
        self._deadline = deadline
        self.told_of_shutdown = self.told_of_stop = self.told_of_timeout = False

    def __call__(self) -> bool:
        """Answers the handler."""
        self.told_of_shutdown = self.told_of_shutdown or self._shutdown.requested
        self.told_of_stop = self.told_of_stop or not self._is_wanted()
        self.told_of_timeout = self.told_of_timeout or self._is_over()
        return self.told_of_shutdown or self.told_of_stop or self.told_of_timeout

    def peek(self) -> bool:
        """Returns what the handler would be told, without telling it."""
        return self._shutdown.requested or not self._is_wanted() or self._is_over()

    def _is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline
