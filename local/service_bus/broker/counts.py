from dataclasses import dataclass


@dataclass(frozen=True)
class QueueCounts:
    """How many messages a queue holds, by what can be done with them; `dead_letter` counts its dead-letter queue."""

    name: str
    active: int
    locked: int
    scheduled: int
    dead_letter: int
    deferred: int = 0
