"""A broker that takes every message and delivers none, for lines that measure SQL and Python alone."""

from collections.abc import Sequence

from typing_extensions import override

from core.messages import OutgoingMessage
from repositories.ports import MessageQueue, SendResult

NO_BROKER = "Endpoint=sb://localhost;SharedAccessKeyName=none;SharedAccessKey=none"
"""What the settings have for it."""


class NoQueue(MessageQueue):
    """Takes every message and delivers none."""

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        return SendResult(success=True, sent=len(messages))

    @override
    def ping(self) -> list[str]:
        return []
