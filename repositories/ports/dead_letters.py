"""The table dead_letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be used: what arrived, where, and why."""

    queue: str
    reason: str
    description: str
    body: bytes
    message_id: str | None
    delivery_count: int | None


@dataclass(frozen=True)
class KeptLetter:
    """A dead letter as it was kept; ids rise with time."""

    dead_letter_id: int
    received_at: datetime
    letter: DeadLetter


class DeadLetterRepository(Protocol):
    """The table `dead_letters`."""

    def add(self, letter: DeadLetter) -> None:
        """Keeps the message."""
        ...

    def newest(self, limit: int, before_id: int | None = None) -> list[KeptLetter]:
        """Up to `limit` of those with an id below `before_id`, the newest first."""
        ...
