"""The end of a process that is told to end: what runs is brought to its end, or given back, within a grace time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import ProcessEndsError


class Shutdown:
    """Tells the parts of a process that it ends, and waits for those that are at work."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._drained = threading.Event()
        self._grace_ends_at = float("inf")
        self._last_ends_at = float("inf")
        self._idle = threading.Condition()
        self._at_work = 0

    @property
    def requested(self) -> bool:
        """Whether nothing new shall be begun."""
        return self._requested.is_set()

    @property
    def grace_is_over(self) -> bool:
        """Whether what still runs shall be given back."""
        return time.monotonic() >= self._grace_ends_at

    def wait(self, seconds: float) -> bool:
        """Waits so long, or until the end is requested; returns whether it is."""
        return self._requested.wait(seconds)

    def wait_through_shutdown(self, seconds: float) -> bool:
        """Waits so long, though the end is requested, or until `drain` waits no longer; returns whether it does not."""
        until = time.monotonic() + seconds
        if self._requested.wait(seconds):
            self._drained.wait(max(min(until, self._last_ends_at) - time.monotonic(), 0))
        return time.monotonic() >= self._last_ends_at

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """For the length of a block, `drain` has something to wait for.

        Raises:
            ProcessEndsError: the end was requested before. It comes when the others are done: a broker repeats what
                fails at once, and perhaps here.
        """
        if not self._begin():
            self._drained.wait()
            raise ProcessEndsError("this process begins nothing more")
        try:
            yield
        finally:
            with self._idle:
                self._at_work -= 1
                self._idle.notify_all()

    def drain(self, grace_seconds: float, give_back_seconds: float) -> bool:
        """Requests the end, and waits until nobody is at work any more.

        Args:
            grace_seconds: how long what runs may go on.
            give_back_seconds: how long giving back the rest may take then.

        Returns:
            Whether all have come to their end.
        """
        with self._idle:
            self._grace_ends_at = time.monotonic() + grace_seconds
            self._last_ends_at = self._grace_ends_at + give_back_seconds
            self._requested.set()
            idle = self._idle.wait_for(lambda: not self._at_work, grace_seconds + give_back_seconds)
        self._drained.set()
        return idle

    def _begin(self) -> bool:
        """Counts somebody who begins to work, unless the end is requested: `drain` waits for all that have begun."""
        with self._idle:
            if self.requested:
                return False
            self._at_work += 1
            return True
