"""How a job ends."""

import logging
from collections.abc import Mapping
from typing import Any

from core import json_text
from core.errors import JobFailure
from core.models import StageKey
from core.statuses import JobStatus, StageStatus
from engine.failures import describe, describe_plainly
from engine.stopping import announce
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)


class JobEndings:
    """Ends jobs; each job ends once, because of the statuses that the rows expect.

    Args:
        database: the rows.
        queue: where the message goes that cancels what is left of a failed job.
    """

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def complete(self, job_id: str, last_stage: int, stage_result: str, job_result: str) -> None:
        """Ends a job whose last stage has finished; with errors, if any of its tasks failed."""
        with self._database.transaction() as work:
            failed_tasks = sum(stage.failed_tasks for stage in work.stages.of_job(job_id))
            status = JobStatus.COMPLETED_WITH_ERRORS if failed_tasks else JobStatus.COMPLETED
            ended = work.jobs.finish(job_id, status, job_result, None)
            work.stages.record_result(job_id, last_stage, stage_result)
        if ended:
            logger.info("job %s %s", job_id, status)

    def fail(self, job_id: str, stage: int, exc: BaseException) -> None:
        """Ends a job that cannot go on from this stage; an unexpected exception keeps its traceback.

        Its unstarted tasks are cancelled, those that run end.
        """
        error: Mapping[str, Any] = describe_plainly(exc) if isinstance(exc, JobFailure) else describe(exc)
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
            if job is None or max(job.stage, 1) != stage:
                return  # a latecomer: others have taken the job past this stage; or nobody's message
            ended = work.jobs.finish(job_id, JobStatus.FAILED, None, json_text.encode({**error, "stage": stage}))
            work.stages.stop(job_id, stage, StageStatus.FAILED)
            left = work.stops.live_batches(StageKey(job_id, stage))
        if ended:
            logger.error("job %s failed in stage %d: %s: %s", job_id, stage, error["type"], error["message"])
        if ended and left.batches:
            announce(self._queue, StageKey(job_id, stage))
