"""The port of the table dead_letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page


@dataclass(frozen=True)
class DeadLetter:
    """A message that the broker gave up on, or that cannot be used, with its queue and the reason."""

    queue: str
    reason: str
    description: str
    body: bytes
    message_id: str | None
    delivery_count: int | None


@dataclass(frozen=True)
class KeptDeadLetter:
    """A stored dead letter; ids grow with time."""

    dead_letter_id: int
    received_at: datetime
    letter: DeadLetter


class DeadLetterRepository(Protocol):
    """The table `dead_letters`."""

    def add(self, letter: DeadLetter, about: StageKey | None = None) -> bool:
        """Stores a dead letter once: a message is known by its queue, the first 128 characters of its id, and its body.

        Args:
            letter: the dead letter.
            about: the stage that the message names; if its job exists, the job's events tell of the dead letter.

        Returns:
            Whether it is new; False when it is stored already, which stays as it is.
        """
        ...

    def newest(
        self, limit: int, before_id: int | None = None, max_bytes: int = MAX_PAGE_BYTES, *, with_body: bool = True
    ) -> Page[KeptDeadLetter]:
        """Returns up to `limit` dead letters with an id below `before_id`, the newest first.

        Their bodies and texts have at most `max_bytes`; one alone may have more. Without `with_body`, the bodies are
        empty, and are not read.
        """
        ...
