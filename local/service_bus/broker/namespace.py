import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from local.service_bus.broker.errors import EntityNotFoundError
from local.service_bus.broker.queue import Queue, QueueCounts
from local.service_bus.broker.settings import QueueSettings

DEAD_LETTER_SUFFIX = "/$deadletterqueue"
_SCHEME_AND_HOST = re.compile(r"^\w+://[^/]*/")


def normalise(address: str) -> str:
    """The entity path of an AMQP address: without scheme, host and outer slashes, unquoted, in lower case."""
    return unquote(_SCHEME_AND_HOST.sub("", address)).strip("/").lower()


class Namespace:
    """The queues of one namespace, found by address, each with its dead-letter queue."""

    def __init__(self, queues: Mapping[str, QueueSettings], clock: Callable[[], int]) -> None:
        self._queues: list[Queue] = []
        self._by_path: dict[str, Queue] = {}
        for name, settings in queues.items():
            # Dead letters neither expire nor wear out.
            buried = QueueSettings(
                lock_duration_ms=settings.lock_duration_ms,
                max_delivery_count=None,
                max_message_bytes=settings.max_message_bytes,
            )
            dead_letters = Queue(name + DEAD_LETTER_SUFFIX, buried, clock)
            queue = Queue(name, settings, clock, dead_letters)
            self._queues.append(queue)
            self._by_path[normalise(name)] = queue
            self._by_path[normalise(dead_letters.name)] = dead_letters

    def find(self, address: str) -> Queue:
        """The queue, or dead-letter queue, at `address`.

        Raises:
            EntityNotFoundError: there is none.
        """
        queue = self._by_path.get(normalise(address))
        if queue is None:
            raise EntityNotFoundError(f"The messaging entity '{address}' could not be found.")
        return queue

    def counts(self) -> list[QueueCounts]:
        """The counts of every queue, in the order of the configuration."""
        return [queue.counts() for queue in self._queues]

    def tick(self) -> None:
        """Applies what has become due, in all queues."""
        for queue in self._by_path.values():
            queue.tick()
