"""The interface of persistent storage; `local/service_bus/store.py` implements it."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from typing_extensions import override

from local.service_bus.broker.messages import Message
from local.service_bus.broker.settings import QueueSettings


class EntityKind(StrEnum):
    """The kind of an entity."""

    QUEUE = "queue"
    TOPIC = "topic"
    SUBSCRIPTION = "subscription"


class Entity(NamedTuple):
    """An entity as it was created; `topic` is the topic of a subscription, and empty for other kinds."""

    kind: EntityKind
    topic: str
    name: str
    settings: QueueSettings


class JournalError(Exception):
    """A commit failed; the changes stay recorded for the next `commit`."""


class Journal(Protocol):
    """Records the broker's changes and makes them durable at `commit`.

    Locks are not recorded: after a restart, locked messages can be received again, and their delivery is not counted.
    The ids of duplicate detection are not recorded either.
    """

    def put(self, queue: str, message: Message) -> None:
        """Records a new or changed message; `commit` stores the state that it has then."""

    def remove(self, queue: str, sequence_number: int) -> None:
        """Records that a message has been removed."""

    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        """Records the state of a session; None removes it."""

    def put_entity(self, entity: Entity) -> None:
        """Records a new entity."""

    def remove_entity(self, entity: Entity) -> None:
        """Records that an entity has been deleted; the caller removes its messages one by one."""

    def commit(self) -> None:
        """Makes all recorded changes durable.

        Raises:
            JournalError: the changes cannot be stored now.
        """


class NoJournal(Journal):
    """The journal of an emulator without a data file: it stores nothing."""

    @override
    def put(self, queue: str, message: Message) -> None:
        pass

    @override
    def remove(self, queue: str, sequence_number: int) -> None:
        pass

    @override
    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        pass

    @override
    def put_entity(self, entity: Entity) -> None:
        pass

    @override
    def remove_entity(self, entity: Entity) -> None:
        pass

    @override
    def commit(self) -> None:
        pass
