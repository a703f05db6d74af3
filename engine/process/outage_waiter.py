"""Sees outages of PostgreSQL and of the broker through: what failed is tried again, slower and slower."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import LockstepError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.25

_LONGEST_PAUSE_SECONDS = 5.0
"""Between two tries: hundreds of workers that wait cost a server that starts a few connections a second each."""

T = TypeVar("T")


class OutageWaiter:
    """Waits; safe to use from several threads.

    Args:
        wait: waits so many seconds; returns True, at once, when the process shall end.
        clock: seconds that only grow.
        shutdown_wait: likewise, and goes on while the process ends, as long as it may; `wait` if there is no other.
    """

    def __init__(
        self,
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
        shutdown_wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._wait = wait
        self._clock = clock
        self._shutdown_wait = shutdown_wait or wait

    def through_shutdown(self) -> "OutageWaiter":
        """One that waits while the process ends: for what has been done and is not written down."""
        return OutageWaiter(self._shutdown_wait, self._clock)

    def deadline(self, seconds: float) -> float:
        """The time, by this object's clock, so many seconds from now."""
        return self._clock() + seconds

    def run(self, action: Callable[[], T], until: float, longest_pause_seconds: float = _LONGEST_PAUSE_SECONDS) -> T:
        """Runs an action, and again whenever it fails for a reason that passes, as long as there is time.

        Args:
            action: may be done twice: when it failed, nobody knows how far it came.
            until: when to give up, as `deadline` gives it; the last try is made then.
            longest_pause_seconds: what the pauses grow to.

        Raises:
            LockstepError: of the last try; or at once, if it is not retryable or the process shall end.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        failures = 0
        while True:
            try:
                done = action()
            except LockstepError as exc:
                left_seconds = until - self._clock()
                if not exc.retryable or left_seconds <= 0:
                    raise
                failures += 1
                logger.log(logging.DEBUG if failures > 1 else logging.WARNING, "waiting for what is away: %s", exc)
                if self._wait(min(pause_seconds, left_seconds)):
                    raise
                pause_seconds = min(2 * pause_seconds, longest_pause_seconds)
            else:
                if failures:
                    logger.info("what was away is back; it took %d tries", failures + 1)
                return done
