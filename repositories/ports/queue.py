"""The port of the broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import QueueError
from core.messages import OutgoingMessage


@dataclass(frozen=True)
class SendResult:
    """The result of sending one batch.

    Attributes:
        success: whether the broker acknowledged each message of the batch. After a failure it may have taken some, or
            may still take them: whatever sends takes a failed send for one that may have happened.
        sent: how many messages the batch had, or 0 after a failure.
        error: the reason for a failure; None on success.
    """

    success: bool
    sent: int
    error: QueueError | None = None


class MessageQueue(Protocol):
    """A broker with queues."""

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        """Sends up to 100 messages as one batch; returns a failure instead of raising it."""
        ...

    def ping(self) -> list[str]:
        """Checks that the broker and its queues can be reached; returns those that are missing and may be.

        Raises:
            QueueError: the broker cannot be reached, or another queue is missing.
        """
        ...
