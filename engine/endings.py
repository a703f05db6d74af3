"""How a job ends."""

import logging
from collections.abc import Mapping
from typing import Any

from core import json_text
from core.errors import JobFailure
from core.statuses import JobStatus
from engine.failures import describe, describe_plainly
from repositories.ports import Database

logger = logging.getLogger(__name__)


class JobEndings:
    """Ends jobs; each job ends once, because of the statuses that the rows expect.

    Args:
        database: the rows.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def complete(self, job_id: str, last_stage: int, stage_result: str, job_result: str) -> None:
        """Ends a job whose last stage has finished; with errors, if any of its tasks failed."""
        with self._database.transaction() as work:
            failed_tasks = sum(stage.failed_tasks for stage in work.stages.of_job(job_id))
            status = JobStatus.COMPLETED_WITH_ERRORS if failed_tasks else JobStatus.COMPLETED
            work.stages.record_result(job_id, last_stage, stage_result)
            ended = work.jobs.finish(job_id, status, job_result, None)
        if ended:
            logger.info("job %s %s", job_id, status)

    def fail(self, job_id: str, stage: int, exc: BaseException) -> None:
        """Ends a job that cannot go on from this stage; an unexpected exception keeps its traceback."""
        error: Mapping[str, Any] = describe_plainly(exc) if isinstance(exc, JobFailure) else describe(exc)
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None or job.stage > stage:
                return  # a latecomer: others have taken the job past this stage
            work.stages.fail(job_id, stage)
            ended = work.jobs.finish(job_id, JobStatus.FAILED, None, json_text.encode({**error, "stage": stage}))
        if ended:
            logger.error("job %s failed in stage %d: %s: %s", job_id, stage, error["type"], error["message"])
