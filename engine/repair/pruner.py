"""Deletes jobs that ended long ago, a few batches per transaction, so that live jobs do not wait for locks.

The pruner marks a job first; a marked job cannot be reopened. Rows that another transaction has locked, and jobs for
which a run has no time left, are left for the next run. Several hosts may prune at once.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.process.limits import Limits
from repositories.ports import Database
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_JOBS = 100
"""Jobs that one transaction marks."""

_BATCHES = 10
"""Batches that one transaction deletes, with up to a thousand tasks."""

_RUN_SECONDS = 240.0
"""After this time a run begins no more transactions; below the shortest function timeout of a plan, 5 minutes."""


@dataclass(frozen=True)
class PruneReport:
    """How much one run has deleted."""

    jobs: int = 0
    batches: int = 0
    tasks: int = 0


class Pruner:
    """Deletes jobs that ended more than `RETENTION_DAYS` ago, with their stages, batches and tasks.

    Rows that a job type loaded into its own tables stay.

    Args:
        database: holds the rows.
        limits: how long a job is kept after its end.
        clock: a monotonic clock, in seconds; limits the length of a run.
    """

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._retention_days = limits.retention_days
        self._clock = clock

    def prune(self) -> PruneReport:
        """Prunes all jobs that are old enough, for about four minutes at most.

        Raises:
            DatabaseError: PostgreSQL is unavailable; deleted rows stay deleted.
        """
        report = PruneReport()
        if not self._retention_days:
            return report
        ends_at = self._clock() + _RUN_SECONDS
        try:
            while self._clock() < ends_at:
                before = report
                for job_id in transact(self._database, lambda work: work.pruning.begin(self._retention_days, _JOBS)):
                    report = self._job(job_id, report, ends_at)
                if report.jobs == before.jobs:
                    break  # no job is left, or other transactions hold the rest
        finally:
            if report != PruneReport():
                logger.info(
                    "%d jobs that ended more than %d days ago are deleted: %d batches, %d tasks",
                    *(report.jobs, self._retention_days, report.batches, report.tasks),
                )
        return report

    def _job(self, job_id: str, report: PruneReport, ends_at: float) -> PruneReport:
        """Deletes a job batch by batch until `ends_at`; returns the report with the deleted rows added."""
        while self._clock() < ends_at:
            deleted = transact(self._database, lambda work: work.pruning.delete_batches(job_id, _BATCHES))
            report = replace(report, batches=report.batches + deleted.batches, tasks=report.tasks + deleted.tasks)
            if deleted.batches:
                continue
            if transact(self._database, lambda work: work.pruning.delete_job(job_id)):
                logger.info("job %s is deleted", job_id)
                report = replace(report, jobs=report.jobs + 1)
            break
        return report
