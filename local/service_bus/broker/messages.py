from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class MessageState(IntEnum):
    """What `x-opt-message-state` says; a locked message is an active one."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


class Content(NamedTuple):
    """What the sender wrote, encoded; the broker stores it and never looks inside.

    Attributes:
        header: durable, priority and ttl, as encoded fields.
        annotations: message annotations to hand on, as encoded key-value pairs.
        annotation_count: number of those pairs.
        bare: everything from the properties section on.
    """

    header: bytes
    annotations: bytes
    annotation_count: int
    bare: bytes

    @property
    def size_bytes(self) -> int:
        """Encoded size, to hold against the entity's limit."""
        return len(self.header) + len(self.annotations) + len(self.bare)


class Submission(NamedTuple):
    """One message on its way into a queue.

    Attributes:
        content: what to store.
        message_id: key of duplicate detection, None for a message without one.
        ttl_ms: time to live asked for by the sender, None for the queue's default.
        scheduled_for_ms: when to become receivable, in milliseconds since the epoch; None or a past time for at once.
        session_id: the session it belongs to, None for none.
    """

    content: Content
    message_id: Hashable | None = None
    ttl_ms: int | None = None
    scheduled_for_ms: int | None = None
    session_id: str | None = None


class DeadLetter(NamedTuple):
    """Why a message lies in a dead-letter queue; either text may be missing."""

    reason: str | None
    description: str | None


@dataclass(slots=True, eq=False)
class Message:
    """A message in a queue; times are milliseconds since the epoch, `lock_token` is 16 bytes while it is locked."""

    sequence_number: int
    enqueued_sequence_number: int
    content: Content
    enqueued_at_ms: int
    ttl_ms: int | None
    session_id: str | None = None
    state: MessageState = MessageState.ACTIVE
    scheduled_for_ms: int | None = None
    delivery_count: int = 0
    lock_token: bytes | None = None
    locked_until_ms: int = 0
    dead_letter: DeadLetter | None = None

    @property
    def expires_at_ms(self) -> float:
        """When its time to live ends, infinity for a message without one."""
        return float("inf") if self.ttl_ms is None else self.enqueued_at_ms + self.ttl_ms

    def is_there(self, now_ms: int) -> bool:
        """Whether its time to live has not ended, or does not count as long as it is locked or scheduled."""
        return self.lock_token is not None or self.state is MessageState.SCHEDULED or now_ms < self.expires_at_ms
