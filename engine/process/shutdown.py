"""The shutdown of a process: it drains what runs, or releases it, within a grace time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import ShutdownError


class Shutdown:
    """Tells the parts of a process that it shuts down, and waits for those that are at work."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._drained = threading.Event()
        self._grace_ends_at = float("inf")
        self._release_ends_at = float("inf")
        self._idle = threading.Condition()
        self._at_work = 0

    @property
    def requested(self) -> bool:
        """Whether the process shuts down: nothing new begins."""
        return self._requested.is_set()

    @property
    def grace_is_over(self) -> bool:
        """Whether running tasks are released now."""
        return time.monotonic() >= self._grace_ends_at

    def wait(self, seconds: float) -> bool:
        """Waits so long, or until the shutdown is requested; returns whether it is."""
        return self._requested.wait(seconds)

    def wait_through_shutdown(self, seconds: float) -> bool:
        """Waits so long, even during a shutdown, or until `drain` gives up; returns whether it has."""
        until = time.monotonic() + seconds
        if self._requested.wait(seconds):
            self._drained.wait(max(min(until, self._release_ends_at) - time.monotonic(), 0))
        return time.monotonic() >= self._release_ends_at

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """For the length of a block, `drain` has something to wait for.

        Raises:
            ShutdownError: the shutdown was requested before. It is raised only when all others have ended: a broker
                delivers a failed message again at once, perhaps to this process.
        """
        if not self._begin():
            self._drained.wait()
            raise ShutdownError("this process shuts down and begins nothing new")
        try:
            yield
        finally:
            with self._idle:
                self._at_work -= 1
                self._idle.notify_all()

    def drain(self, grace_seconds: float, release_seconds: float) -> bool:
        """Requests the shutdown, and waits until nobody is at work any more.

        Args:
            grace_seconds: how long running tasks may go on.
            release_seconds: how long it may take to release the others afterwards.

        Returns:
            Whether all have ended.
        """
        with self._idle:
            self._grace_ends_at = time.monotonic() + grace_seconds
            self._release_ends_at = self._grace_ends_at + release_seconds
            self._requested.set()
            idle = self._idle.wait_for(lambda: not self._at_work, grace_seconds + release_seconds)
        self._drained.set()
        return idle

    def _begin(self) -> bool:
        """Counts somebody who begins to work, unless the shutdown is requested: `drain` waits for all that began."""
        with self._idle:
            if self.requested:
                return False
            self._at_work += 1
            return True
