"""What people see of all batches of a stage or a job at once: a letter a batch, and tasks ended over time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BatchState(StrEnum):
    """A batch in one letter, by its status and its counts."""

    PENDING = "p"  # its messages may not have been sent
    QUEUED = "q"  # none of its tasks has ended
    BEGUN = "b"  # some of its tasks have ended, none has failed
    BEGUN_WITH_FAILURES = "e"
    COMPLETED = "c"  # no task failed
    WITH_FAILURES = "f"  # ended, and some tasks failed
    CANCELLED = "x"  # none of its tasks ran


@dataclass(frozen=True)
class EndedSpan:
    """The times at which the first and the last batch of a job ended."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class EndedTasks:
    """The tasks of the batches that ended in one bucket of time.

    Attributes:
        bucket: counts from 0, at the end of the first batch.
        completed: tasks.
        failed: tasks.
        cancelled: tasks.
    """

    bucket: int
    completed: int
    failed: int
    cancelled: int


_BUCKET_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)


def bucket_seconds(span: EndedSpan, most_buckets: int) -> int:
    """Returns the shortest round width of which at most `most_buckets` cover the span."""
    seconds = (span.last - span.first).total_seconds()
    for width in _BUCKET_SECONDS:
        if seconds < width * most_buckets:
            return width
    days = int(seconds / most_buckets / _BUCKET_SECONDS[-1]) + 1
    return days * _BUCKET_SECONDS[-1]
