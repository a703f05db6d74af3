"""The port of the messages that the Functions host has given up on, where the broker has no dead-letter queues."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.messages import ReceivedMessage


@dataclass(frozen=True)
class PoisonMessage:
    """A message, and what names this delivery of it."""

    raw: ReceivedMessage
    receipt: str


class PoisonQueues(Protocol):
    """The poison queues of the app's queues."""

    def take(self, queue: str) -> Sequence[PoisonMessage]:
        """Receives some messages of the poison queue of a queue; they are received again later unless deleted.

        Raises:
            QueueError: the broker cannot be reached.
        """
        ...

    def delete(self, queue: str, message: PoisonMessage) -> None:
        """Deletes a message; one that another delivery has taken over stays.

        Raises:
            QueueError: the broker cannot be reached.
        """
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...
