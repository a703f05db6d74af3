from dataclasses import dataclass
from typing import Protocol

from local.service_bus.broker.messages import Message


class Journal(Protocol):
    """Where queues note what must outlive the process; nothing counts before `commit`.

    Locks are not noted: after a restart whatever was locked can be received again, and is not counted as delivered.
    """

    def put(self, queue: str, message: Message) -> None:
        """Notes that `message` lies in `queue` as it is now."""

    def remove(self, queue: str, sequence_number: int) -> None:
        """Notes that the message has gone."""

    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        """Notes the state of a session, None for none."""


@dataclass(frozen=True)
class NoJournal:
    """Keeps nothing: the messages end with the process."""

    def put(self, queue: str, message: Message) -> None:
        """Does nothing."""

    def remove(self, queue: str, sequence_number: int) -> None:
        """Does nothing."""

    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        """Does nothing."""
