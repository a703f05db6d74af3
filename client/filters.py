"""Which jobs are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from client.answers import JobStatus


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are listed, or are meant by a bulk action; without a member, all of them.

    An empty text or list is refused when it is sent: it would mean all jobs, where a program meant none.

    Attributes:
        statuses: jobs in one of these.
        created_from: jobs that were created at this time or later.
        created_before: jobs that were created before this time.
    """

    job_type: str | None = None
    statuses: Sequence[JobStatus] | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    def query(self) -> dict[str, object]:
        """The filter as parameters of a query."""
        return {
            "type": self.job_type,
            "status": None if self.statuses is None else tuple(self.statuses),
            "created_from": self.created_from and self.created_from.isoformat(),
            "created_before": self.created_before and self.created_before.isoformat(),
        }
