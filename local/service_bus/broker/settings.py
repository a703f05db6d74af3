from dataclasses import dataclass

# Service Bus Standard: 256 KB, for a message as for a batch. Premium takes 1 MB in a batch.
STANDARD_MESSAGE_BYTES = 262_144
PREMIUM_MESSAGE_BYTES = 1_048_576
# The default of maxSizeInMegabytes, 1 GB.
MAX_SIZE_BYTES = 1_073_741_824


@dataclass(frozen=True)
class QueueSettings:
    """How a queue, or a subscription, behaves; a topic uses the last four.

    Attributes:
        lock_duration_ms: how long a receiver owns a message it has peeked, or a session it has accepted.
        max_delivery_count: deliveries after which a message is dead-lettered, None for no limit.
        dead_letters_expired: whether expired messages are kept in the dead-letter queue.
        requires_session: whether every message belongs to a session and is received through it.
        default_ttl_ms: time to live, and the cap of what senders ask for; None for no expiry.
        duplicate_window_ms: how far back duplicate detection looks, None for none.
        max_message_bytes: size limit of one message, and of a batch.
        max_size_bytes: what the entity may hold, its dead letters included.
    """

    lock_duration_ms: int = 60_000
    max_delivery_count: int | None = 10
    dead_letters_expired: bool = False
    requires_session: bool = False
    default_ttl_ms: int | None = None
    duplicate_window_ms: int | None = None
    max_message_bytes: int = STANDARD_MESSAGE_BYTES
    max_size_bytes: int = MAX_SIZE_BYTES
