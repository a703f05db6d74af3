"""What a job waits for before it starts: a time, other jobs, and a key that one job at a time may hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.statuses import JobStatus

MAX_AFTER = 100
"""Jobs that one job may wait for: one transaction locks them all."""

MAX_KEY_LENGTH = 255
"""In characters, so that a key always fits an index."""

COMPLETIONS = frozenset({JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS})
"""A job that completed with errors has a result: its stages tolerate the tasks that failed."""


@dataclass(frozen=True)
class StartConditions:
    """When a submitted job may start.

    Attributes:
        start_at: not before this time (aware); None for at once.
        after: the ids of the jobs that complete first.
    """

    start_at: datetime | None = None
    after: Sequence[str] = ()


AT_ONCE = StartConditions()


@dataclass(frozen=True)
class AwaitedJob:
    """A job that another one waits for; its status is None when it was deleted."""

    job_id: str
    status: JobStatus | None

    @property
    def cannot_complete(self) -> bool:
        """Whether it has ended in another way, or was deleted before anyone saw it complete."""
        return self.status in {None, JobStatus.FAILED, JobStatus.CANCELLED}


@dataclass(frozen=True)
class JobWait:
    """What a waiting job waits for.

    Attributes:
        job_type: the job's type.
        start_at: the time before which it does not start; None for any.
        is_due: whether that time has come.
        open_after: the jobs before it that have not completed yet.
        exclusive_key: the key that it needs; None for none.
        key_holder: the job that holds the key now.
    """

    job_type: str
    start_at: datetime | None
    is_due: bool
    open_after: Sequence[AwaitedJob]
    exclusive_key: str | None
    key_holder: str | None


@dataclass(frozen=True)
class JobEnd:
    """The end of a job: whether it holds a key, and whether other jobs were submitted to start after it."""

    holds_key: bool
    is_awaited: bool
