"""The clock of a storage account, from the dates of its answers: a delay is counted from its time."""

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_DELAY_SECONDS = 7 * 24 * 60 * 60
"""The longest time for which a message can be invisible ("Put Message", learn.microsoft.com)."""


class StorageClock:
    """Tells the time of a storage account; safe to use from several threads.

    A message is made invisible for a number of seconds, but a due time is a moment of PostgreSQL's clock. Like Service
    Bus, which compares such a moment with its own clock, this compares it with that of the account. Dates have whole
    seconds and take time to arrive, so an estimate is never ahead of the account, and a message never too early.

    Args:
        elapsed: a monotonic clock, in seconds.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._start: datetime | None = None

    @property
    def is_set(self) -> bool:
        """Whether an answer has told the time."""
        return self._start is not None

    def observe(self, response: Any) -> None:
        """Reads the date of an answer; a `raw_response_hook` of the client."""
        date = response.http_response.headers.get("Date")
        if date is None:
            return
        start = parsedate_to_datetime(date).astimezone(UTC) - timedelta(seconds=self._elapsed())
        with self._lock:
            self._start = max(start, self._start or start)

    def seconds_until(self, moment: datetime) -> int:
        """Returns the whole seconds until a moment, 0 if it has passed, at most `LONGEST_DELAY_SECONDS`."""
        assert self._start is not None, "no answer has told the time"
        left = (moment - self._start).total_seconds() - self._elapsed()
        return min(max(math.ceil(left), 0), LONGEST_DELAY_SECONDS)
