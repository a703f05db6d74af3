from dataclasses import dataclass


@dataclass(frozen=True)
class QueueCounts:
    """The messages of a queue by state; `dead_letter` counts its dead-letter queue."""

    name: str
    active: int
    locked: int
    scheduled: int
    dead_letter: int
    deferred: int = 0
