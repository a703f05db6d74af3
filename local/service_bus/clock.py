import time


class Clock:
    """Gives milliseconds since the epoch: the time of day, and what it was moved on."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def __call__(self) -> int:
        """The time."""
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def move_on(self, seconds: float) -> None:
        """Lets so much time pass at once."""
        self._ahead_ms += round(seconds * 1000)
