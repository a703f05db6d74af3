from collections.abc import Sequence

from core.errors import MessageFormatError
from core.messages import ReceivedMessage, TaskMessage
from engine.process.keeping import UNREADABLE, keep
from repositories.ports import Database


class Inbox:
    """Decodes task messages; keeps unreadable ones as dead letters."""

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
