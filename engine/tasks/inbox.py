"""Reads what a queue delivers; what cannot be read is kept, never dropped."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import MessageFormatError
from core.messages import TaskMessage
from repositories.ports import Database, DeadLetter

logger = logging.getLogger(__name__)

UNREADABLE = "unreadable"
"""The reason on the dead letter of a message that cannot be decoded."""


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as it came; `delivery_count` is 1 at the first delivery."""

    body: bytes
    message_id: str | None = None
    delivery_count: int | None = None


class Inbox:
    """Decodes task messages.

    Args:
        database: where unreadable messages are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, queue_name: str, received: Sequence[ReceivedMessage]) -> dict[str, TaskMessage]:
        """The readable messages by task id; of several for one task, the one that was sent last.

        Raises:
            DatabaseError: the unreadable ones could not be kept.
        """
        messages: dict[str, TaskMessage] = {}
        for raw in received:
            try:
                message = TaskMessage.decode(raw.body)
            except MessageFormatError as exc:
                keep(self._database, queue_name, raw, UNREADABLE, str(exc))
                continue
            known = messages.get(message.task_id)
            if known is None or message.send > known.send:
                messages[message.task_id] = message
        return messages


def keep(database: Database, queue_name: str, raw: ReceivedMessage, reason: str, description: str) -> None:
    """Keeps a message as a dead letter.

    Raises:
        DatabaseError: it could not be kept; the message must not be completed.
    """
    logger.error("message %s of %s is kept as a dead letter (%s): %s", raw.message_id, queue_name, reason, description)
    letter = DeadLetter(queue_name, reason, description, raw.body, raw.message_id, raw.delivery_count)
    with database.transaction() as work:
        work.dead_letters.add(letter)
