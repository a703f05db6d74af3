"""The emulator's clock, which tests can set forward."""

import time


class Clock:
    """Returns milliseconds since the epoch: the system time plus the time skipped by `move_on`."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def __call__(self) -> int:
        """The current time in milliseconds."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def move_on(self, seconds: float) -> None:
        """Sets the clock forward."""
        self._ahead_ms += round(seconds * 1000)
