"""Repeats actions while PostgreSQL or the broker is unavailable."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from core.errors import LockstepError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.25

_LONGEST_PAUSE_SECONDS = 5.0
"""The longest pause between two tries: hundreds of waiting workers must not overload a server that is starting."""

T = TypeVar("T")


class Waits:
    """The outages that a process waits for now: the class of each error, and since when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[object, tuple[str, float]] = {}

    @contextmanager
    def recording(self) -> Iterator[Callable[[LockstepError, float], None]]:
        """Yields a function that records what a thread waits for, and the time; the record ends with the block."""
        key = object()

        def begin(error: LockstepError, now: float) -> None:
            name = type(error).__name__
            with self._lock:
                if self._waits.get(key, ("", 0.0))[0] != name:
                    self._waits[key] = (name, now)

        try:
            yield begin
        finally:
            with self._lock:
                self._waits.pop(key, None)

    def seconds(self, now: float) -> dict[str, float]:
        """Returns how long each error has been waited for, at most."""
        with self._lock:
            waits = list(self._waits.values())
        return {name: now - min(since for other, since in waits if other == name) for name, _ in waits}


class OutageWaiter:
    """Repeats actions that fail with an error that is waited out, with growing pauses; safe to use from many threads.

    Args:
        wait: waits for a number of seconds; returns True at once when the process shuts down.
        clock: a monotonic clock, in seconds.
        shutdown_wait: like `wait`, but keeps waiting during a shutdown, until `drain` gives up; default `wait`.
        waits: where it records what it waits for; several waiters may share them.
    """

    def __init__(
        self,
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
        shutdown_wait: Callable[[float], bool] | None = None,
        waits: Waits | None = None,
    ) -> None:
        self._wait = wait
        self._clock = clock
        self._shutdown_wait = shutdown_wait or wait
        self._waits = waits or Waits()

    def through_shutdown(self) -> "OutageWaiter":
        """Returns a waiter that keeps trying during a shutdown: for outcomes that exist only in memory."""
        return OutageWaiter(self._shutdown_wait, self._clock, waits=self._waits)

    def waits(self) -> dict[str, float]:
        """Returns the classes of the errors that are waited for now, each with the longest wait in seconds."""
        return self._waits.seconds(self._clock())

    def deadline(self, seconds: float) -> float:
        """Returns the time `seconds` from now, by this waiter's clock."""
        return self._clock() + seconds

    def run(self, action: Callable[[], T], until: float, longest_pause_seconds: float = _LONGEST_PAUSE_SECONDS) -> T:
        """Runs an action; repeats it until a deadline while it fails with an error that is waited out.

        Args:
            action: must be safe to repeat, because a failed try may have taken effect.
            until: the time of the last try, from `deadline`.
            longest_pause_seconds: the limit of the growing pauses.

        Raises:
            LockstepError: the error of the last try; raised at once if it is not waited out or the process shuts down.
        """
        with self._waits.recording() as record:
            return self._repeat(action, until, longest_pause_seconds, record)

    def _repeat(
        self,
        action: Callable[[], T],
        until: float,
        longest_pause_seconds: float,
        record: Callable[[LockstepError, float], None],
    ) -> T:
        pause_seconds = _FIRST_PAUSE_SECONDS
        failures = 0
        while True:
            try:
                done = action()
            except LockstepError as exc:
                left_seconds = until - self._clock()
                if not exc.waited_out or left_seconds <= 0:
                    raise
                failures += 1
                record(exc, self._clock())
                logger.log(logging.DEBUG if failures > 1 else logging.WARNING, "waiting for an outage to end: %s", exc)
                if self._wait(min(pause_seconds, left_seconds)):
                    raise
                pause_seconds = min(2 * pause_seconds, longest_pause_seconds)
            else:
                if failures:
                    logger.info("the outage has ended; it took %d tries", failures + 1)
                return done
