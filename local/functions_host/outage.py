"""Logs the start and the end of an outage once, however many threads notice it."""

import logging
import threading

logger = logging.getLogger(__name__)


class Outage:
    """Logs one line when the first user cannot reach a resource, and one when all users reach it again.

    Args:
        what: the resource as it is logged, such as ``Queue orders``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._out: set[object] = set()

    def begin(self, user: object, error: Exception) -> None:
        """Note that a user cannot reach the resource; called for every failed attempt."""
        with self._lock:
            if not self._out:
                logger.warning("%s cannot be reached; reconnecting: %s", self._what, error)
            self._out.add(user)

    def end(self, user: object) -> None:
        """Note that a user has reached the resource."""
        with self._lock:
            if self._out == {user}:
                logger.info("%s is reachable again", self._what)
            self._out.discard(user)
