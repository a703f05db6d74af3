import logging
import threading

logger = logging.getLogger(__name__)

_FIRST_DELAY_SECONDS = 0.2
_MAX_DELAY_SECONDS = 5.0


class Outage:
    """Whether a queue can be reached, shared by its consumers: one line when it goes, one when it is back."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._delay_seconds = 0.0

    def begin(self, error: Exception) -> None:
        """A consumer lost the queue."""
        with self._lock:
            if not self._delay_seconds:
                logger.warning("Queue %s is out of reach, connecting again: %s", self._queue, error)
            self._delay_seconds = min(max(self._delay_seconds * 2, _FIRST_DELAY_SECONDS), _MAX_DELAY_SECONDS)

    def end(self) -> None:
        """A consumer reached the queue."""
        with self._lock:
            if self._delay_seconds:
                logger.info("Queue %s is back", self._queue)
            self._delay_seconds = 0.0

    def wait(self, stopping: threading.Event) -> None:
        """Pause before the next try, longer with each, but not past a stop."""
        with self._lock:
            delay = self._delay_seconds
        stopping.wait(delay)
