"""The port of the table end_notices."""

from collections.abc import Sequence
from typing import Protocol

from core.end_notices import EndNotice


class EndNoticeRepository(Protocol):
    """The table `end_notices`: an outbox of ends of jobs that are told outside."""

    def owe(self, job_id: str) -> None:
        """Notes, in the transaction that ends a job, that its end is to be told: once for each end."""
        ...

    def of_job(self, job_id: str) -> list[EndNotice]:
        """Returns the notices of a job that are not known to be sent, the oldest first."""
        ...

    def overdue(self, age_seconds: float, limit: int) -> list[EndNotice]:
        """Finds up to `limit` notices that have been due for `age_seconds`, and restarts their time."""
        ...

    def sent(self, notice_ids: Sequence[int]) -> None:
        """Notes that the broker has taken notices: deletes their rows."""
        ...
