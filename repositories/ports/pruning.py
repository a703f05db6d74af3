"""Deletes jobs that ended long ago."""

from typing import Protocol

from core.models import PrunedBatches


class PruneRepository(Protocol):
    """Deletes jobs that ended long ago, from all tables. Rows that another transaction holds are skipped."""

    def begin(self, retention_days: int, limit: int) -> list[str]:
        """Marks jobs that ended at least `retention_days` ago and have no live batch. A marked job cannot be reopened.

        Returns:
            Up to `limit` marked jobs, including jobs that were marked before, the oldest first.
        """
        ...

    def delete_batches(self, job_id: str, limit: int) -> PrunedBatches:
        """Deletes up to `limit` batches of a marked job with their tasks."""
        ...

    def delete_job(self, job_id: str) -> bool:
        """Deletes a marked job that has no batches, and its stages; False when some of its rows are left."""
        ...
