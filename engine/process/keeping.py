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
    """Keeps a message as a dead letter; safe to repeat, because a message is kept once.

    Raises:
        DatabaseError: the message was not kept, so the caller must not complete it.
    """
    letter = DeadLetter(queue_name, reason, description, raw.body, raw.message_id, raw.delivery_count)
    if transact(database, lambda work: work.dead_letters.add(letter)):
        logger.error("message %s of %s is a dead letter (%s): %s", raw.message_id, queue_name, reason, description)
    else:
        logger.info("message %s of %s was kept as a dead letter before", raw.message_id, queue_name)
