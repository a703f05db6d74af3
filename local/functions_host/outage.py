import logging
import threading

from local.functions_host.entities import Entity

logger = logging.getLogger(__name__)


class Outage:
    """Which consumers of an entity cannot reach it: one line in the log when it goes, one when all have it back."""

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self._lock = threading.Lock()
        self._out: set[object] = set()

    def begin(self, consumer: object, error: Exception) -> None:
        """A consumer cannot connect to the entity, or still cannot."""
        with self._lock:
            if not self._out:
                logger.warning("Service Bus entity %s is out of reach, connecting again: %s", self._entity, error)
            self._out.add(consumer)

    def end(self, consumer: object) -> None:
        """A consumer receives from the entity."""
        with self._lock:
            if self._out == {consumer}:
                logger.info("Service Bus entity %s is back", self._entity)
            self._out.discard(consumer)
