import re
from collections.abc import Callable
from urllib.parse import unquote

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.errors import EntityExistsError, EntityNotFoundError
from local.service_bus.broker.journal import Entity, EntityKind, Journal, NoJournal
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.broker.surroundings import Surroundings
from local.service_bus.broker.throttle import Throttle

DEAD_LETTER_SUFFIX = "/$deadletterqueue"
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
        self._entities: dict[str, Entity] = {}
        self._ticks = 0

    def create_queue(self, name: str, settings: QueueSettings) -> Queue:
        """Adds a queue with its dead-letter queue.

        Raises:
            EntityExistsError: there is an entity of this name.
        """
        return self.create(Entity(EntityKind.QUEUE, "", name, settings))

    def create_topic(self, name: str, settings: QueueSettings) -> Queue:
        """Adds a topic, without subscriptions.

        Raises:
            EntityExistsError: there is an entity of this name.
        """
        return self.create(Entity(EntityKind.TOPIC, "", name, settings))

    def create_subscription(self, topic: str, name: str, settings: QueueSettings) -> Queue:
        """Adds a subscription, which gets what is sent to the topic from now on.

        Raises:
            EntityNotFoundError: there is no such topic.
            EntityExistsError: it has a subscription of this name.
        """
        return self.create(Entity(EntityKind.SUBSCRIPTION, topic, name, settings))

    def create(self, entity: Entity) -> Queue:
        """Adds an entity of any kind.

        Raises:
            EntityNotFoundError: it is a subscription, and there is no such topic.
            EntityExistsError: there is an entity of this name.
        """
        path = _path(entity)
        if self.get(path) is not None:
            raise EntityExistsError(f"The messaging entity '{path}' exists already.")
        queue = self._build(entity, path)
        assert queue.dead_letters is not None
        for each in (queue, queue.dead_letters):
            self._by_path[normalise(each.name)] = each
        self._entities[normalise(path)] = entity
        self._surroundings.journal.put_entity(entity)
        return queue

    def _build(self, entity: Entity, path: str) -> Queue:
        settings = entity.settings
        dead_letters = self._dead_letters(path, settings)
        if entity.kind is EntityKind.TOPIC:
            return Queue(path, settings, self._surroundings, dead_letters, {})
        kind = SessionQueue if settings.requires_session else Queue
        if entity.kind is EntityKind.QUEUE:
            return kind(path, settings, self._surroundings, dead_letters)
        siblings = self.find(entity.topic).subscriptions
        if siblings is None:
            raise EntityNotFoundError(f"The messaging entity '{entity.topic}' is not a topic.")
        closed_because = f"Messages of the subscription '{path}' are sent to its topic."
        queue = kind(path, settings, self._surroundings, dead_letters, closed_because=closed_because)
        siblings[path] = queue
        return queue

    def delete(self, address: str) -> list[Queue]:
        """Removes a queue, a topic or a subscription with all that belongs to it; returns what is gone.

        Raises:
            EntityNotFoundError: there is none, or it is a dead-letter queue.
        """
        queue = self.find(address)
        if queue.dead_letters is None:
            raise EntityNotFoundError(f"The dead-letter queue '{address}' goes with its entity alone.")
        gone = [*(queue.subscriptions or {}).values(), queue]
        gone += [each.dead_letters for each in gone if each.dead_letters is not None]
        for each in gone:
            each.clear()
            del self._by_path[normalise(each.name)]
            if entity := self._entities.pop(normalise(each.name), None):
                self._surroundings.journal.remove_entity(entity)
        for topic in self._by_path.values():
            if topic.subscriptions:
                topic.subscriptions.pop(queue.name, None)
        return gone

    def find(self, address: str) -> Queue:
        """The queue, topic, subscription or dead-letter queue at `address`.

        Raises:
            EntityNotFoundError: there is none.
        """
        queue = self.get(address)
        if queue is None:
            raise EntityNotFoundError(f"The messaging entity '{address}' could not be found.")
        return queue

    def get(self, address: str) -> Queue | None:
        """The same, or None."""
        return self._by_path.get(normalise(address))

    def has(self, entity: Entity) -> bool:
        """Whether there is an entity in this one's place."""
        return self.get(_path(entity)) is not None

    def counts(self) -> list[QueueCounts]:
        """The counts of every queue, topic and subscription, in the order of their creation."""
        return [queue.counts() for queue in self._by_path.values() if queue.dead_letters is not None]

    def clear(self) -> None:
        """Forgets all messages, as a broker without durable storage does when it starts again."""
        for queue in self._by_path.values():
            queue.clear()

    def end_locks(self) -> None:
        """Ends all locks, as a restart does that keeps the messages: they come back and do not count as delivered."""
        for queue in self._by_path.values():
            queue.end_locks()

    def commit(self) -> None:
        """Makes all that has happened outlive the process, if the journal can.

        Raises:
            JournalError: it cannot now.
        """
        self._surroundings.journal.commit()

    def tick(self) -> None:
        """Applies what has become due, in all queues."""
        queues = list(self._by_path.values())
        self._ticks += 1
        first = self._ticks % len(queues) if queues else 0
        # Each begins in its turn: when credits are short, the first takes them all.
        for queue in [*queues[first:], *queues[:first]]:
            queue.tick()

    def _dead_letters(self, path: str, settings: QueueSettings) -> Queue:
        # Dead letters neither expire nor wear out, and are received without a session.
        buried = QueueSettings(
            lock_duration_ms=settings.lock_duration_ms,
            max_delivery_count=None,
            max_message_bytes=settings.max_message_bytes,
        )
        closed_because = "Messages cannot be sent to a dead-letter queue."
        return Queue(path + DEAD_LETTER_SUFFIX, buried, self._surroundings, closed_because=closed_because)


def _path(entity: Entity) -> str:
    return f"{entity.topic}/Subscriptions/{entity.name}" if entity.topic else entity.name
