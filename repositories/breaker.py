"""Stops calls to a broker that does not answer, so that they fail at once instead of each waiting for its deadline."""

import logging
import math
import threading
import time
from collections.abc import Callable

from core.errors import QueueUnavailableError

logger = logging.getLogger(__name__)

MOST_UNANSWERED = 8
"""So many calls in a row go unanswered before the breaker opens: as many as two dispatches have in flight."""

MOST_HANGING = 16
"""So many threads may hang in calls that were given up. The trials need a few more than `MOST_UNANSWERED`."""

_PAUSE_SECONDS = 5.0


class Breaker:
    """Counts the calls that were given up; safe to use from several threads.

    It opens after `most_unanswered` calls in a row without an answer. While it is open, one call at a time is let
    through as a trial, `pause_seconds` after the trial before it; the first answer of any call closes it. An error is
    an answer too.

    Whether it is open or not, no call is let through while `most_hanging` given-up calls still hang in their threads.

    Args:
        most_unanswered: how many calls in a row open it.
        most_hanging: how many given-up calls may hang.
        pause_seconds: from the end of an unanswered trial to the next trial.
        clock: a monotonic clock, in seconds.
        service: names what is called in errors and log lines.
    """

    def __init__(
        self,
        most_unanswered: int = MOST_UNANSWERED,
        most_hanging: int = MOST_HANGING,
        pause_seconds: float = _PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        *,
        service: str = "Service Bus",
    ) -> None:
        self.service = service
        self._most_unanswered = most_unanswered
        self._most_hanging = most_hanging
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._unanswered = 0
        self._hanging = 0
        self._next_trial_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once, but for trials."""
        return self._unanswered >= self._most_unanswered

    @property
    def hanging(self) -> int:
        """How many given-up calls still hang in their threads."""
        return self._hanging

    def admit(self) -> bool:
        """Admits a call; returns whether it is a trial. The caller then reports `answered` or `gave_up`.

        Raises:
            QueueUnavailableError: the call must not be made.
        """
        with self._lock:
            if self._hanging >= self._most_hanging:
                raise QueueUnavailableError(f"{self._hanging} calls to {self.service} hang; no further call is made")
            if self._unanswered < self._most_unanswered:
                return False
            if self._clock() < self._next_trial_at:
                raise QueueUnavailableError(f"{self.service} did not answer the last {self._unanswered} calls")
            self._next_trial_at = math.inf
            return True

    def answered(self) -> None:
        """An admitted call has ended in time."""
        with self._lock:
            was_open = self._unanswered >= self._most_unanswered
            unanswered, self._unanswered = self._unanswered, 0
            hanging = self._hanging
        if was_open:
            logger.warning(
                "%s answers again, after %d unanswered calls; %d still hang", self.service, unanswered, hanging
            )

    def gave_up(self, *, is_trial: bool) -> None:
        """An admitted call is given up, and hangs in its thread until `ended`."""
        with self._lock:
            self._unanswered += 1
            self._hanging += 1
            opens = self._unanswered == self._most_unanswered
            if opens or is_trial:
                self._next_trial_at = self._clock() + self._pause_seconds
            unanswered, hanging = self._unanswered, self._hanging
        if opens:
            logger.warning(
                "%s did not answer %d calls in a row, and %d hang; calls fail at once until it answers",
                self.service,
                unanswered,
                hanging,
            )

    def ended(self) -> None:
        """The thread of a given-up call has ended the call."""
        with self._lock:
            self._hanging -= 1
