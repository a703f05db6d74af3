"""The shutdown of a process: running tasks may end within a grace time, and are released after it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import ShutdownError

_REFUSE_AFTER_SECONDS = 5.0
"""How long an invocation waits after `drain` before it is refused. The process ends within half a second of it; a
refusal before that is a lost delivery of each of its messages, and the broker delivers them again at once."""


class Shutdown:
    """Tells the parts of a process that the process shuts down, and waits for work in progress."""

    def __init__(self, refuse_after_seconds: float = _REFUSE_AFTER_SECONDS) -> None:
        self._refuse_after_seconds = refuse_after_seconds
        self._requested = threading.Event()
        self._drained = threading.Event()
        self._grace_ends_at = float("inf")
        self._release_ends_at = float("inf")
        self._idle = threading.Condition()
        self._at_work = 0

    @property
    def requested(self) -> bool:
        """Whether the process shuts down, so that no new work begins."""
        return self._requested.is_set()

    @property
    def grace_is_over(self) -> bool:
        """Whether the grace time is over, so that running tasks are released."""
        return time.monotonic() >= self._grace_ends_at

    def wait(self, seconds: float) -> bool:
        """Waits `seconds`, or until the shutdown is requested; returns whether it is requested."""
        return self._requested.wait(seconds)

    def wait_through_shutdown(self, seconds: float) -> bool:
        """Waits `seconds`, even during a shutdown, or until `drain` gives up; returns whether `drain` has given up."""
        until = time.monotonic() + seconds
        if self._requested.wait(seconds):
            self._drained.wait(max(min(until, self._release_ends_at) - time.monotonic(), 0))
        return time.monotonic() >= self._release_ends_at

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Makes `drain` wait for the end of a block.

        Raises:
            ShutdownError: the shutdown was requested before the block. Raised only if the process still lives some
                seconds after `drain`: the broker delivers a failed message again at once, perhaps to this process, and
                would give up on it within the last moments of a process.
        """
        if not self._begin():
            self._drained.wait()
            threading.Event().wait(self._refuse_after_seconds)
            raise ShutdownError("this process shuts down and begins nothing new")
        try:
            yield
        finally:
            with self._idle:
                self._at_work -= 1
                self._idle.notify_all()

    def drain(self, grace_seconds: float, release_seconds: float) -> bool:
        """Requests the shutdown, and waits until no work is in progress.

        Args:
            grace_seconds: how long running tasks may go on.
            release_seconds: how long releasing the remaining tasks may take afterwards.

        Returns:
            Whether all work has ended.
        """
        with self._idle:
            self._grace_ends_at = time.monotonic() + grace_seconds
            self._release_ends_at = self._grace_ends_at + release_seconds
            self._requested.set()
            idle = self._idle.wait_for(lambda: not self._at_work, grace_seconds + release_seconds)
        self._drained.set()
        return idle

    def _begin(self) -> bool:
        """Counts a block that begins, so that `drain` waits for it; returns False once the shutdown is requested."""
        with self._idle:
            if self.requested:
                return False
            self._at_work += 1
            return True
