"""A broker as the engine knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import QueueError
from core.messages import OutgoingMessage


@dataclass(frozen=True)
class SendResult:
    """What came of sending one Service Bus batch.

    Attributes:
        success: whether the broker acknowledged all of it; it never takes a part.
        sent: how many messages were acknowledged: all or 0.
        error: why not; None on success.
    """

    success: bool
    sent: int
    error: QueueError | None = None


class MessageQueue(Protocol):
    """Where the messages go."""

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        """Sends up to 100 messages as one batch, all or none; a failure is returned, not raised."""
        ...

    def ping(self) -> None:
        """Reaches the broker.

        Raises:
            QueueError: it cannot be reached, or a queue is missing.
        """
        ...
