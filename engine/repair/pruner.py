"""Deletes jobs that ended long ago, some batches a transaction, so that no live job notices.

A job is marked first: from then on it cannot be opened again. What a run does not come to, or another transaction
holds, is left for the next one. Several hosts may do this at once.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.process.limits import Limits
from engine.process.transactions import transact
from repositories.ports import Database

logger = logging.getLogger(__name__)

_JOBS = 100
"""Jobs that are marked in one transaction."""

_BATCHES = 10
"""Batches that are deleted in one transaction, with up to a thousand tasks."""

_RUN_SECONDS = 240.0
"""After this long a run begins nothing more: inside the shortest function timeout of a plan, 5 minutes."""


@dataclass(frozen=True)
class PruneReport:
    """What one run has deleted."""

    jobs: int = 0
    batches: int = 0
    tasks: int = 0


class Pruner:
    """Deletes jobs that ended long ago, with their stages, batches and tasks; rows that they loaded stay.

    Args:
        database: the rows.
        limits: how long a job is kept after its end.
        clock: seconds that only grow; bounds a run.
    """

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._retention_days = limits.retention_days
        self._clock = clock

    def prune(self) -> PruneReport:
        """Runs once over everything that is old enough, for at most some four minutes.

        Raises:
            DatabaseError: PostgreSQL is away; what was deleted stays deleted.
        """
        report = PruneReport()
        if not self._retention_days:
            return report
        ends_at = self._clock() + _RUN_SECONDS
        try:
            while self._clock() < ends_at:
                before = report
                for job_id in transact(self._database, lambda work: work.retention.begin(self._retention_days, _JOBS)):
                    report = self._job(job_id, report, ends_at)
                if report.jobs == before.jobs:
                    break  # nothing is left, or others hold what is
        finally:
            if report != PruneReport():
                logger.info(
                    "%d jobs that ended more than %d days ago are deleted: %d batches, %d tasks",
                    *(report.jobs, self._retention_days, report.batches, report.tasks),
                )
        return report

    def _job(self, job_id: str, report: PruneReport, ends_at: float) -> PruneReport:
        """Deletes what it can of a job; returns the report with that."""
        while self._clock() < ends_at:
            deleted = transact(self._database, lambda work: work.retention.delete_batches(job_id, _BATCHES))
            report = replace(report, batches=report.batches + deleted.batches, tasks=report.tasks + deleted.tasks)
            if deleted.batches:
                continue
            if transact(self._database, lambda work: work.retention.delete_job(job_id)):
                logger.info("job %s is deleted", job_id)
                report = replace(report, jobs=report.jobs + 1)
            break
        return report
