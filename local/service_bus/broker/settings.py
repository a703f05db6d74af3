from dataclasses import dataclass

# The limit of a message and of a batch: 256 KB in Service Bus Standard; 1 MB for a batch in Premium.
STANDARD_MESSAGE_BYTES = 262_144
PREMIUM_MESSAGE_BYTES = 1_048_576
# The default of maxSizeInMegabytes, 1 GB.
MAX_SIZE_BYTES = 1_073_741_824


@dataclass(frozen=True)
class QueueSettings:
    """The settings of a queue or a subscription; a topic uses only the last four.

    Attributes:
        lock_duration_ms: how long the lock of a message or a session lasts.
        max_delivery_count: deliveries after which a message is dead-lettered, None for no limit.
        dead_letters_expired: whether expired messages are dead-lettered.
        requires_session: whether every message belongs to a session and is received through it.
        default_ttl_ms: the default and the maximum time to live; None for no expiry.
        duplicate_window_ms: the window of duplicate detection, None for no detection.
        max_message_bytes: the size limit of one message, and of a batch.
        max_size_bytes: the size limit of the entity, including its dead letters.
    """

    lock_duration_ms: int = 60_000
    max_delivery_count: int | None = 10
    dead_letters_expired: bool = False
    requires_session: bool = False
    default_ttl_ms: int | None = None
    duplicate_window_ms: int | None = None
    max_message_bytes: int = STANDARD_MESSAGE_BYTES
    max_size_bytes: int = MAX_SIZE_BYTES
