"""What has ended long ago."""

from typing import Protocol

from core.models import PrunedBatches


class RetentionRepository(Protocol):
    """Deleting jobs that ended long ago, over all tables. Rows that another transaction holds are passed over."""

    def begin(self, retention_days: int, limit: int) -> list[str]:
        """Marks jobs that ended so long ago and have no live batch: from now on they are not opened again.

        Returns:
            Up to `limit` of them and of those that were marked before, the oldest first.
        """
        ...

    def delete_batches(self, job_id: str, limit: int) -> PrunedBatches:
        """Deletes up to `limit` batches of a marked job with their tasks."""
        ...

    def delete_job(self, job_id: str) -> bool:
        """Deletes a marked job that has no batches left, and its stages; False when something of it is left."""
        ...
