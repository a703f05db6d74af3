"""The bodies of the answers about dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired

from typing_extensions import TypedDict

from core.statuses import DeadLetterState


class DeadLetter(TypedDict):
    """A message that the broker gave up on, or that cannot be used.

    It has its body only if that is included. A body that is not UTF-8 text is in `body_base64`, and `body` is null;
    otherwise `body_base64` is null. `state` says what was done about it, `handled_at` when it was resent or discarded;
    `resends` counts the requests that began to send its message again.
    """

    dead_letter_id: int
    received_at: datetime
    queue: str
    reason: str
    description: str
    message_id: str | None
    delivery_count: int | None
    state: DeadLetterState
    resends: int
    handled_at: datetime | None
    body: NotRequired[str | None]
    body_base64: NotRequired[str | None]


@dataclass(frozen=True)
class DeadLetters:
    """A page of dead letters; `next` is the `before` of the next page, null on the last one.

    A page has fewer than `limit` dead letters if they would be larger than 1 MiB.
    """

    dead_letters: Sequence[DeadLetter]
    next: int | None
