from enum import StrEnum
from typing import NamedTuple, Protocol

from local.service_bus.broker.messages import Message
from local.service_bus.broker.settings import QueueSettings


class EntityKind(StrEnum):
    """What an entity is."""

    QUEUE = "queue"
    TOPIC = "topic"
    SUBSCRIPTION = "subscription"


class Entity(NamedTuple):
    """An entity as it was created; `topic` is that of a subscription, empty for the others."""

    kind: EntityKind
    topic: str
    name: str
    settings: QueueSettings


class JournalError(Exception):
    """What was noted cannot be kept now; it stays noted for the next `commit`."""


class Journal(Protocol):
    """Where the broker notes what must outlive the process; nothing counts before `commit`.

    Locks are not noted: after a restart whatever was locked can be received again, and is not counted as delivered.
    Nor is what duplicate detection remembers.
    """

    def put(self, queue: str, message: Message) -> None:
        """Notes that `message` lies in `queue`, as it is at the time of the commit."""

    def remove(self, queue: str, sequence_number: int) -> None:
        """Notes that the message has gone."""

    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        """Notes the state of a session, None for none."""

    def put_entity(self, entity: Entity) -> None:
        """Notes that there is an entity."""

    def remove_entity(self, entity: Entity) -> None:
        """Notes that the entity has gone; its messages are removed one by one."""

    def commit(self) -> None:
        """Makes everything noted so far outlive the process.

        Raises:
            JournalError: that is not possible now.
        """


class NoJournal:
    """Keeps nothing: entities and messages end with the process."""

    def put(self, queue: str, message: Message) -> None:
        """Does nothing."""

    def remove(self, queue: str, sequence_number: int) -> None:
        """Does nothing."""

    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        """Does nothing."""

    def put_entity(self, entity: Entity) -> None:
        """Does nothing."""

    def remove_entity(self, entity: Entity) -> None:
        """Does nothing."""

    def commit(self) -> None:
        """Does nothing."""
