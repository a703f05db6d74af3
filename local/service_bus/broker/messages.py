from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class MessageState(IntEnum):
    """The values of `x-opt-message-state`; a locked message is active."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


class Content(NamedTuple):
    """The encoded content of a message, which the broker stores without decoding it.

    Attributes:
        header: durable, priority and ttl, as encoded fields.
        annotations: the message annotations to deliver, as encoded key-value pairs.
        annotation_count: the number of these pairs.
        bare: the properties section and all later sections.
    """

    header: bytes
    annotations: bytes
    annotation_count: int
    bare: bytes

    @property
    def size_bytes(self) -> int:
        """The encoded size that counts towards the entity's limits."""
        return len(self.header) + len(self.annotations) + len(self.bare)


class Submission(NamedTuple):
    """A message that a client sends.

    Attributes:
        content: the content to store.
        message_id: the key of duplicate detection, None for a message without one.
        ttl_ms: the sender's time to live, None for the queue's default.
        scheduled_for_ms: when the message becomes receivable, in milliseconds since the epoch; None or a past time
            means at once.
        session_id: the session of the message, None for none.
    """

    content: Content
    message_id: Hashable | None = None
    ttl_ms: int | None = None
    scheduled_for_ms: int | None = None
    session_id: str | None = None


class DeadLetter(NamedTuple):
    """Why a message is in a dead-letter queue; both texts are optional."""

    reason: str | None
    description: str | None


@dataclass(slots=True, eq=False)
class Message:
    """A message in a queue; times are milliseconds since the epoch, `lock_token` is 16 bytes or None if not locked."""

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
        """When the time to live ends; infinity for a message without one."""
        return float("inf") if self.ttl_ms is None else self.enqueued_at_ms + self.ttl_ms

    def is_there(self, now_ms: int) -> bool:
        """Whether the message has not expired; a locked or scheduled message does not expire."""
        return self.lock_token is not None or self.state is MessageState.SCHEDULED or now_ms < self.expires_at_ms
