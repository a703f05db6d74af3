from collections.abc import Sequence

from core.errors import MessageFormatError
from core.lanes import BATCHES_QUEUE
from core.messages import BatchMessage, ReceivedMessage, TaskMessage
from engine.process.keeping import UNREADABLE, keep
from repositories.ports import Database


class Inbox:
    """Decodes the messages and envelopes of tasks; keeps unreadable ones as dead letters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, queue_name: str, received: Sequence[ReceivedMessage]) -> dict[str, TaskMessage]:
        """Returns the readable messages by task id; if a task has several, the one that was sent last.

        Raises:
            DatabaseError: an unreadable message could not be kept.
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

    def read_envelope(self, raw: ReceivedMessage) -> BatchMessage | None:
        """Returns an envelope; None if it is unreadable.

        Raises:
            DatabaseError: an unreadable envelope could not be kept.
        """
        try:
            return BatchMessage.decode(raw.body)
        except MessageFormatError as exc:
            keep(self._database, BATCHES_QUEUE, raw, UNREADABLE, str(exc))
            return None
