"""The port of what waits for workers."""

from dataclasses import dataclass
from typing import Protocol

from core.backlog import BacklogNumbers
from core.lanes import Lane

MOST_TRIED_BATCHES = 50
"""With batches of 100 tasks, as many tasks as a stage has out by default; some milliseconds to read them all."""


@dataclass(frozen=True)
class OldestWaiting:
    """The oldest waiting task of those whose messages share a queue.

    Attributes:
        lane: their lane.
        urgent: whether their jobs are urgent.
        enveloped: whether a message carries a batch of them.
        seconds: how long ago its batch was written, or sent again after it was reopened.
    """

    lane: Lane
    urgent: bool
    enveloped: bool
    seconds: float


class BacklogRepository(Protocol):
    """Reads about waiting tasks."""

    def numbers(self) -> BacklogNumbers:
        """Returns how much waits, of all jobs."""
        ...

    def oldest(self, most_tried: int = MOST_TRIED_BATCHES) -> list[OldestWaiting]:
        """Returns the oldest task that waits for a worker, of each lane that has one; those of stopped stages do not.

        A task waits while it is `pending_queue` or `queued`, and when its retry is due. If none waits in the oldest
        `most_tried` live batches of a stage's lane, the next batch counts as if one of its tasks did.
        """
        ...
