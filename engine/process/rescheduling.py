import uuid
from collections.abc import Sequence
from datetime import timedelta

from core.messages import OutgoingMessage, ReceivedMessage
from engine.process.sending import send
from repositories.ports import Database, MessageQueue

RESCHEDULED_SECONDS = 60
"""The pauses inside a message lock have grown to seconds before; so a fault is met about every two minutes."""


def reschedule(database: Database, queue: MessageQueue, queue_name: str, received: Sequence[ReceivedMessage]) -> None:
    """Sends messages again for later, unchanged: their caller completes them, so that no delivery is used up.

    Raises:
        LockstepError: the messages were not sent; the broker must deliver them again.
    """
    with database.transaction() as work:
        due_at = work.now() + timedelta(seconds=RESCHEDULED_SECONDS)
    again = [OutgoingMessage(raw.body, f"rescheduled-{uuid.uuid4().hex}", due_at) for raw in received]
    send(queue, queue_name, again)
