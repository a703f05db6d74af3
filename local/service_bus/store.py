"""The data file: a journal in SQLite, so that acknowledged messages survive the end of the process."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from typing_extensions import override

from local.service_bus.broker.journal import Entity, EntityKind, Journal, JournalError
from local.service_bus.broker.messages import Content, DeadLetter, Message, MessageState
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import QueueSettings

logger = logging.getLogger(__name__)

_VERSION = 1
_SCHEMA = f"""
    CREATE TABLE entities (kind TEXT, topic TEXT, name TEXT, settings TEXT, PRIMARY KEY (topic, name));
    CREATE TABLE messages (
        queue TEXT, sequence_number INTEGER, enqueued_sequence_number INTEGER,
        header BLOB, annotations BLOB, annotation_count INTEGER, bare BLOB,
        enqueued_at_ms INTEGER, ttl_ms INTEGER, session_id TEXT, state INTEGER, scheduled_for_ms INTEGER,
        delivery_count INTEGER, dead_letter TEXT,
        PRIMARY KEY (queue, sequence_number)
    ) WITHOUT ROWID;
    CREATE TABLE sequences (queue TEXT PRIMARY KEY, last_sequence_number INTEGER);
    CREATE TABLE sessions (queue TEXT, session_id TEXT, state BLOB, PRIMARY KEY (queue, session_id));
    PRAGMA user_version = {_VERSION};
"""
# WAL without a sync at each commit: commits survive a crash of the process, but not of the machine.
_OPEN = """
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
"""
_PUT_MESSAGE = "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REMOVE_MESSAGE = "DELETE FROM messages WHERE queue = ? AND sequence_number = ?"
_PUT_SEQUENCE = """
    INSERT INTO sequences VALUES (?, ?)
    ON CONFLICT DO UPDATE SET last_sequence_number = max(last_sequence_number, excluded.last_sequence_number)
"""
_PUT_STATE = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)"
_REMOVE_STATE = "DELETE FROM sessions WHERE queue = ? AND session_id = ?"
_PUT_ENTITY = "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)"
_REMOVE_ENTITY = "DELETE FROM entities WHERE topic = ? AND name = ?"


class StoreError(Exception):
    """The data file cannot be used; the message names the file and the reason."""


class Store(Journal):
    """A journal in the SQLite file at `path`, created if missing and used by one process at a time.

    Changes are buffered until `commit`, so a message that is sent and completed between two commits is never written.

    Raises:
        StoreError: the file is not a data file, another process uses it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._messages: dict[tuple[str, int], Message | None] = {}
        self._states: dict[tuple[str, str], bytes | None] = {}
        self._entities: dict[tuple[str, str], Entity | None] = {}
        try:
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as exc:
            raise StoreError(f"The data file {path} cannot be used: {exc}") from exc

    def _open(self) -> None:
        self._connection.executescript(_OPEN)
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"its format is {version}, not {_VERSION}")
        else:
            self._connection.executescript("BEGIN IMMEDIATE; COMMIT")

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @override
    def put(self, queue: str, message: Message) -> None:
        self._messages[queue, message.sequence_number] = message

    @override
    def remove(self, queue: str, sequence_number: int) -> None:
        self._messages[queue, sequence_number] = None

    @override
    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        self._states[queue, session_id] = state

    @override
    def put_entity(self, entity: Entity) -> None:
        self._entities[entity.topic, entity.name] = entity

    @override
    def remove_entity(self, entity: Entity) -> None:
        self._entities[entity.topic, entity.name] = None

    @override
    def commit(self) -> None:
        """Writes them in one transaction."""
        if not (self._messages or self._states or self._entities):
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._write()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as exc:
            raise JournalError(f"The data file cannot be written: {exc}") from exc
        self._messages.clear()
        self._states.clear()
        self._entities.clear()

    def _write(self) -> None:
        removed = [key for key, message in self._messages.items() if message is None]
        present = [(queue, message) for (queue, _), message in self._messages.items() if message is not None]
        last: dict[str, int] = {}
        for queue, number in self._messages:
            last[queue] = max(number, last.get(queue, 0))
        execute_many = self._connection.executemany
        execute_many(_REMOVE_MESSAGE, removed)
        execute_many(_PUT_MESSAGE, (_message_row(queue, message) for queue, message in present))
        execute_many(_PUT_SEQUENCE, last.items())
        execute_many(_REMOVE_STATE, [key for key, state in self._states.items() if state is None])
        execute_many(_PUT_STATE, [(*key, state) for key, state in self._states.items() if state is not None])
        execute_many(_REMOVE_ENTITY, [key for key, entity in self._entities.items() if entity is None])
        execute_many(_PUT_ENTITY, [_entity_row(entity) for entity in self._entities.values() if entity is not None])

    def restore(self, namespace: Namespace) -> None:
        """Loads what an earlier process has committed into a namespace; existing entities keep their settings.

        Messages of entities that do not exist any more stay in the file.
        """
        for entity in self._stored_entities():
            if not namespace.has(entity):
                namespace.create(entity)
        for name, last_number in self._rows("SELECT queue, last_sequence_number FROM sequences"):
            if (queue := namespace.get(name)) is not None:
                queue.continue_after(last_number)
        orphaned = 0
        for name, message in self._stored_messages():
            if (queue := namespace.get(name)) is not None:
                queue.restore(message)
            else:
                orphaned += 1
        for name, session_id, state in self._rows("SELECT queue, session_id, state FROM sessions"):
            queue = namespace.get(name)
            if isinstance(queue, SessionQueue):
                queue.restore_session(session_id, state)
        if orphaned:
            logger.warning("%d messages in the data file belong to entities that do not exist any more", orphaned)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def _stored_entities(self) -> Iterator[Entity]:
        # Ordered so that topics come before their subscriptions.
        for kind, topic, name, settings in self._rows("SELECT * FROM entities ORDER BY topic, name"):
            yield Entity(EntityKind(kind), topic, name, QueueSettings(**json.loads(settings)))

    def _stored_messages(self) -> Iterator[tuple[str, Message]]:
        with closing(self._connection.execute("SELECT * FROM messages ORDER BY queue, sequence_number")) as rows:
            for row in rows:
                yield row[0], _message(row[1:])


def _entity_row(entity: Entity) -> tuple[str, ...]:
    return entity.kind, entity.topic, entity.name, json.dumps(asdict(entity.settings))


def _message_row(queue: str, message: Message) -> tuple[Any, ...]:
    content = message.content
    return (
        queue,
        message.sequence_number,
        message.enqueued_sequence_number,
        content.header,
        content.annotations,
        content.annotation_count,
        content.bare,
        message.enqueued_at_ms,
        message.ttl_ms,
        message.session_id,
        message.state,
        message.scheduled_for_ms,
        message.delivery_count,
        None if message.dead_letter is None else json.dumps(message.dead_letter),
    )


def _message(row: tuple[Any, ...]) -> Message:
    number, enqueued_number, header, annotations, annotation_count, bare, *rest = row
    enqueued_at_ms, ttl_ms, session_id, state, scheduled_for_ms, delivery_count, dead_letter = rest
    return Message(
        sequence_number=number,
        enqueued_sequence_number=enqueued_number,
        content=Content(header, annotations, annotation_count, bare),
        enqueued_at_ms=enqueued_at_ms,
        ttl_ms=ttl_ms,
        session_id=session_id,
        state=MessageState(state),
        scheduled_for_ms=scheduled_for_ms,
        delivery_count=delivery_count,
        dead_letter=None if dead_letter is None else DeadLetter(*json.loads(dead_letter)),
    )
