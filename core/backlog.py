from dataclasses import dataclass

MOST_DEAD_LETTERS = 10_000
"""Of the newest dead letters are those counted that nobody has handled: so the count takes no longer as they gather."""


@dataclass(frozen=True)
class BacklogNumbers:
    """What waits, by the rows.

    Attributes:
        pending_batches: batches whose messages may not have been sent: the outbox.
        queued_batches: batches whose messages are sent and that have not ended.
        oldest_pending_seconds: the age of the oldest batch in the outbox; 0 if it is empty.
        dead_letters: the newest dead letters that nobody has resent or discarded.
    """

    pending_batches: int
    queued_batches: int
    oldest_pending_seconds: float
    dead_letters: int
