"""The port of the table dead_letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import DeadLetterState


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
    """A stored dead letter; ids grow with time.

    Attributes:
        dead_letter_id: its id.
        received_at: when it was kept.
        letter: the message.
        state: what was done about it.
        resends: how many requests have begun to send its message again.
        handled_at: when it was resent or discarded.
    """

    dead_letter_id: int
    received_at: datetime
    letter: DeadLetter
    state: DeadLetterState = DeadLetterState.KEPT
    resends: int = 0
    handled_at: datetime | None = None


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

    def get(self, dead_letter_id: int) -> KeptDeadLetter | None:
        """Returns the dead letter with its body, or None."""
        ...

    def newest(
        self,
        limit: int,
        before_id: int | None = None,
        max_bytes: int = MAX_PAGE_BYTES,
        *,
        with_body: bool = True,
        state: DeadLetterState | None = None,
    ) -> Page[KeptDeadLetter]:
        """Returns up to `limit` dead letters with an id below `before_id`, in one state or in any, the newest first.

        Their bodies and texts have at most `max_bytes`; one alone may have more. Without `with_body`, the bodies are
        empty, and are not read.
        """
        ...

    def begin_resend(self, dead_letter_id: int, resends: int) -> bool:
        """Counts one more resend of a dead letter that is not handled, if it had as many as the caller has read.

        Returns:
            Whether the caller may send the message; False when another request handles the dead letter.
        """
        ...

    def end_resend(self, dead_letter_id: int) -> bool:
        """Notes that the broker has taken the message again; False when the dead letter was handled meanwhile."""
        ...

    def discard(self, dead_letter_id: int) -> bool:
        """Notes that the message is not needed; False when the dead letter is handled already."""
        ...
