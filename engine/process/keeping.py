"""Keeps unusable messages as rows of `dead_letters`, where people can read them."""

import logging

from core.errors import MessageFormatError
from core.lanes import JOBS_QUEUE
from core.messages import JobMessage, ReceivedMessage, TaskMessage
from core.models import StageKey
from core.redaction import redacted
from core.telemetry import telemetry
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
    # Both may come from the broker, which quotes what it was given; only the body is kept as it is.
    reason, description = redacted(reason), redacted(description)
    letter = DeadLetter(queue_name, reason, description, raw.body, raw.message_id, raw.delivery_count)
    about = _stage(queue_name, raw.body)
    if transact(database, lambda work: work.dead_letters.add(letter, about)):
        telemetry().dead_letter(queue_name, reason)
        logger.error("message %s of %s is a dead letter (%s): %s", raw.message_id, queue_name, reason, description)
    else:
        logger.info("message %s of %s was kept as a dead letter before", raw.message_id, queue_name)


def _stage(queue_name: str, body: bytes) -> StageKey | None:
    """Returns the stage that a message names; None when the message cannot be decoded."""
    try:
        if queue_name == JOBS_QUEUE:
            return JobMessage.decode(body).key
        address = TaskMessage.decode(body).address
    except MessageFormatError:
        return None
    return StageKey(address.job_id, address.stage)
