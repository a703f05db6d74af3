from dataclasses import dataclass

# Service Bus Standard: 256 KB, for a message as for a batch.
MAX_MESSAGE_BYTES = 262_144


@dataclass(frozen=True)
class QueueSettings:
    """How a queue behaves.

    Attributes:
        lock_duration_ms: how long a receiver owns a message it has peeked.
        max_delivery_count: deliveries after which a message is dead-lettered, None for no limit.
        default_ttl_ms: time to live, and the cap of what senders ask for; None for no expiry.
        dead_letters_expired: whether expired messages are kept in the dead-letter queue.
        duplicate_window_ms: how far back duplicate detection looks, None for none.
        max_message_bytes: size limit of one message.
    """

    lock_duration_ms: int = 60_000
    max_delivery_count: int | None = 10
    default_ttl_ms: int | None = None
    dead_letters_expired: bool = False
    duplicate_window_ms: int | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES
