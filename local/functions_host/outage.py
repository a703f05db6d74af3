import logging
import threading

logger = logging.getLogger(__name__)


class Outage:
    """Which consumers of a queue cannot reach it: one line in the log when it goes, one when all have it back."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._out: set[object] = set()

    def begin(self, consumer: object, error: Exception) -> None:
        """A consumer cannot connect to the queue, or still cannot."""
        with self._lock:
            if not self._out:
                logger.warning("Queue %s is out of reach, connecting again: %s", self._queue, error)
            self._out.add(consumer)

    def end(self, consumer: object) -> None:
        """A consumer receives from the queue."""
        with self._lock:
            if self._out == {consumer}:
                logger.info("Queue %s is back", self._queue)
            self._out.discard(consumer)
