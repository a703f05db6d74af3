"""Keeps unusable messages as rows of `dead_letters`, where people can read them."""

import logging

from core.messages import ReceivedMessage
from repositories.ports import Database, DeadLetter
from repositories.transactions import transact

logger = logging.getLogger(__name__)

UNREADABLE = "unreadable"
"""The reason of a dead letter whose message cannot be decoded."""

ORPHAN = "orphan"
"""The reason of a dead letter whose message has no row."""


def keep(database: Database, queue_name: str, raw: ReceivedMessage, reason: str, description: str) -> None:
    """Keeps a message as a dead letter.

    Raises:
        DatabaseError: the message was not kept, so the caller must not complete it.
    """
    logger.error("message %s of %s is kept as a dead letter (%s): %s", raw.message_id, queue_name, reason, description)
    letter = DeadLetter(queue_name, reason, description, raw.body, raw.message_id, raw.delivery_count)
    transact(database, lambda work: work.dead_letters.add(letter))
