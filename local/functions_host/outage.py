import logging
import threading

logger = logging.getLogger(__name__)


class Outage:
    """Which users of a thing cannot reach it: one line in the log when it goes, one when all have it back.

    Args:
        what: the thing, as a line begins with it, such as ``Queue orders``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._out: set[object] = set()

    def begin(self, user: object, error: Exception) -> None:
        """A user cannot reach it, or still cannot."""
        with self._lock:
            if not self._out:
                logger.warning("%s is out of reach, connecting again: %s", self._what, error)
            self._out.add(user)

    def end(self, user: object) -> None:
        """A user has reached it."""
        with self._lock:
            if self._out == {user}:
                logger.info("%s is back", self._what)
            self._out.discard(user)
