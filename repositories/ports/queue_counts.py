"""The port of the numbers of messages that the broker's queues hold."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class MessageCounts:
    """The messages of a queue: those that can be received or are locked, those for later, and its dead letters.

    A broker that does not tell the messages for later has them among the active ones, and None in their place.
    """

    active: int
    scheduled: int | None
    dead_lettered: int


class QueueCounts(Protocol):
    """Tells how many messages a queue holds; for one call at a time for each queue."""

    def counts(self, queue: str) -> MessageCounts:
        """Asks the broker.

        Raises:
            CountsUnavailableError: it does not tell; the message is a reason that everyone may read.
        """
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...
