import re
from collections.abc import Callable
from urllib.parse import unquote

from local.service_bus.broker.errors import EntityExistsError, EntityNotFoundError
from local.service_bus.broker.journal import Journal, NoJournal
from local.service_bus.broker.queue import Queue, QueueCounts
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.broker.surroundings import Surroundings
from local.service_bus.broker.throttle import Throttle

DEAD_LETTER_SUFFIX = "/$deadletterqueue"
_SUBSCRIPTIONS = "/Subscriptions/"
_SCHEME_AND_HOST = re.compile(r"^\w+://[^/]*/")


def normalise(address: str) -> str:
    """The entity path of an AMQP address: without scheme, host and outer slashes, unquoted, in lower case."""
    return unquote(_SCHEME_AND_HOST.sub("", address)).strip("/").lower()


class Namespace:
    """The queues, topics and subscriptions of one namespace, found by address.

    Args:
        clock: gives milliseconds since the epoch.
        credits_per_second: messages that may be sent and received in a second, None for no limit.
        journal: where the messages are noted that must outlive the process.
    """

    def __init__(
        self, clock: Callable[[], int], credits_per_second: int | None = None, journal: Journal | None = None
    ) -> None:
        self._surroundings = Surroundings(clock, Throttle(credits_per_second, clock), journal or NoJournal())
        self._by_path: dict[str, Queue] = {}

    def create_queue(self, name: str, settings: QueueSettings) -> Queue:
        """Adds a queue with its dead-letter queue.

        Raises:
            EntityExistsError: there is an entity of this name.
        """
        return self._add(name, settings)

    def create_topic(self, name: str, settings: QueueSettings) -> Queue:
        """Adds a topic, without subscriptions.

        Raises:
            EntityExistsError: there is an entity of this name.
        """
        self._check_free(name)
        return self._register(Queue(name, settings, self._surroundings, self._dead_letters(name, settings), {}))

    def create_subscription(self, topic: str, name: str, settings: QueueSettings) -> Queue:
        """Adds a subscription, which gets what is sent to the topic from now on.

        Raises:
            EntityNotFoundError: there is no such topic.
            EntityExistsError: it has a subscription of this name.
        """
        parent = self.find(topic)
        if parent.subscriptions is None:
            raise EntityNotFoundError(f"The messaging entity '{topic}' is not a topic.")
        path = parent.name + _SUBSCRIPTIONS + name
        subscription = self._add(path, settings, f"Messages of the subscription '{path}' are sent to its topic.")
        parent.subscriptions[subscription.name] = subscription
        return subscription

    def delete(self, address: str) -> list[Queue]:
        """Removes a queue, a topic or a subscription with all that belongs to it; returns what is gone.

        Raises:
            EntityNotFoundError: there is none, or it is a dead-letter queue.
        """
        queue = self.find(address)
        if queue.dead_letters is None:
            raise EntityNotFoundError(f"The dead-letter queue '{address}' goes with its entity alone.")
        gone = [*(queue.subscriptions or {}).values(), queue]
        gone += [entity.dead_letters for entity in gone if entity.dead_letters is not None]
        for entity in gone:
            del self._by_path[normalise(entity.name)]
            entity.clear()
        for topic in self._by_path.values():
            if topic.subscriptions:
                topic.subscriptions.pop(queue.name, None)
        return gone

    def find(self, address: str) -> Queue:
        """The queue, topic, subscription or dead-letter queue at `address`.

        Raises:
            EntityNotFoundError: there is none.
        """
        queue = self._by_path.get(normalise(address))
        if queue is None:
            raise EntityNotFoundError(f"The messaging entity '{address}' could not be found.")
        return queue

    def counts(self) -> list[QueueCounts]:
        """The counts of every queue, topic and subscription, in the order of their creation."""
        return [queue.counts() for queue in self._by_path.values() if queue.dead_letters is not None]

    def clear(self) -> None:
        """Forgets all messages, as a broker without durable storage does when it starts again."""
        for queue in self._by_path.values():
            queue.clear()

    def tick(self) -> None:
        """Applies what has become due, in all queues."""
        for queue in list(self._by_path.values()):
            queue.tick()

    def _add(self, name: str, settings: QueueSettings, closed_because: str | None = None) -> Queue:
        self._check_free(name)
        kind = SessionQueue if settings.requires_session else Queue
        dead_letters = self._dead_letters(name, settings)
        return self._register(kind(name, settings, self._surroundings, dead_letters, closed_because=closed_because))

    def _check_free(self, name: str) -> None:
        if normalise(name) in self._by_path:
            raise EntityExistsError(f"The messaging entity '{name}' exists already.")

    def _dead_letters(self, name: str, settings: QueueSettings) -> Queue:
        # Dead letters neither expire nor wear out, and are received without a session.
        buried = QueueSettings(
            lock_duration_ms=settings.lock_duration_ms,
            max_delivery_count=None,
            max_message_bytes=settings.max_message_bytes,
        )
        closed_because = "Messages cannot be sent to a dead-letter queue."
        return Queue(name + DEAD_LETTER_SUFFIX, buried, self._surroundings, closed_because=closed_because)

    def _register(self, queue: Queue) -> Queue:
        assert queue.dead_letters is not None
        self._by_path[normalise(queue.name)] = queue
        self._by_path[normalise(queue.dead_letters.name)] = queue.dead_letters
        return queue
