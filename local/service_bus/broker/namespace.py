"""The entities of a namespace."""

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
    """The entity path of an AMQP address: unquoted, in lower case, without scheme, host and outer slashes."""
    return unquote(_SCHEME_AND_HOST.sub("", address)).strip("/").lower()


class Namespace:
    """The queues, topics and subscriptions of one namespace, by address.

    Args:
        clock: returns milliseconds since the epoch.
        credits_per_second: messages that may be sent and received per second, None for no limit.
        journal: records entities and messages, None to keep them in memory only.
    """

    def __init__(
        self, clock: Callable[[], int], credits_per_second: int | None = None, journal: Journal | None = None
    ) -> None:
        self._surroundings = Surroundings(clock, Throttle(credits_per_second, clock), journal or NoJournal())
        self._by_path: dict[str, Queue] = {}
        self._entities: dict[str, Entity] = {}
        self._ticks = 0

    def create_queue(self, name: str, settings: QueueSettings) -> Queue:
        """Creates a queue and its dead-letter queue.

        Raises:
            EntityExistsError: an entity with this name already exists.
        """
        return self.create(Entity(EntityKind.QUEUE, "", name, settings))

    def create_topic(self, name: str, settings: QueueSettings) -> Queue:
        """Creates a topic without subscriptions.

        Raises:
            EntityExistsError: an entity with this name already exists.
        """
        return self.create(Entity(EntityKind.TOPIC, "", name, settings))

    def create_subscription(self, topic: str, name: str, settings: QueueSettings) -> Queue:
        """Creates a subscription; it receives messages that are sent to the topic from now on.

        Raises:
            EntityNotFoundError: the topic does not exist.
            EntityExistsError: the topic already has a subscription with this name.
        """
        return self.create(Entity(EntityKind.SUBSCRIPTION, topic, name, settings))

    def create(self, entity: Entity) -> Queue:
        """Creates an entity of any kind.

        Raises:
            EntityNotFoundError: the topic of a subscription does not exist.
            EntityExistsError: an entity with this name already exists.
        """
        path = _path(entity)
        if self.get(path) is not None:
            raise EntityExistsError(f"The messaging entity '{path}' already exists.")
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
        """Deletes an entity with its subscriptions and dead-letter queues; returns everything that it deleted.

        Raises:
            EntityNotFoundError: no entity has this address, or it is a dead-letter queue.
        """
        queue = self.find(address)
        if queue.dead_letters is None:
            raise EntityNotFoundError(f"The dead-letter queue '{address}' is deleted only together with its entity.")
        deleted = [*(queue.subscriptions or {}).values(), queue]
        deleted += [each.dead_letters for each in deleted if each.dead_letters is not None]
        for each in deleted:
            each.clear()
            del self._by_path[normalise(each.name)]
            if entity := self._entities.pop(normalise(each.name), None):
                self._surroundings.journal.remove_entity(entity)
        for topic in self._by_path.values():
            if topic.subscriptions:
                topic.subscriptions.pop(queue.name, None)
        return deleted

    def find(self, address: str) -> Queue:
        """The queue, topic, subscription or dead-letter queue at `address`.

        Raises:
            EntityNotFoundError: no entity has this address.
        """
        queue = self.get(address)
        if queue is None:
            raise EntityNotFoundError(f"The messaging entity '{address}' could not be found.")
        return queue

    def get(self, address: str) -> Queue | None:
        """Like `find`, but returns None if no entity has this address."""
        return self._by_path.get(normalise(address))

    def has(self, entity: Entity) -> bool:
        """Whether an entity with the same path exists."""
        return self.get(_path(entity)) is not None

    def counts(self) -> list[QueueCounts]:
        """The counts of every queue, topic and subscription, in order of creation."""
        return [queue.counts() for queue in self._by_path.values() if queue.dead_letters is not None]

    def clear(self) -> None:
        """Deletes all messages, like a restart of a broker without durable storage."""
        for queue in self._by_path.values():
            queue.clear()

    def end_locks(self) -> None:
        """Ends all locks, like a restart that keeps the messages; the deliveries are not counted."""
        for queue in self._by_path.values():
            queue.end_locks()

    def commit(self) -> None:
        """Commits all changes to the journal.

        Raises:
            JournalError: the journal cannot store them now.
        """
        self._surroundings.journal.commit()

    def tick(self) -> None:
        """Applies what has become due in every queue."""
        queues = list(self._by_path.values())
        self._ticks += 1
        first = self._ticks % len(queues) if queues else 0
        # Start with another queue each time: when credits are short, the first queue uses them all.
        for queue in [*queues[first:], *queues[:first]]:
            queue.tick()

    def _dead_letters(self, path: str, settings: QueueSettings) -> Queue:
        # Dead letters have no expiry, no delivery limit and no sessions.
        buried = QueueSettings(
            lock_duration_ms=settings.lock_duration_ms,
            max_delivery_count=None,
            max_message_bytes=settings.max_message_bytes,
        )
        closed_because = "Messages cannot be sent to a dead-letter queue."
        return Queue(path + DEAD_LETTER_SUFFIX, buried, self._surroundings, closed_because=closed_because)


def _path(entity: Entity) -> str:
    return f"{entity.topic}/Subscriptions/{entity.name}" if entity.topic else entity.name
