"""How a job ends."""

import logging
from collections.abc import Mapping
from typing import Any

from core import json_text
from core.error_records import describe, describe_plainly
from core.errors import JobFailure, StageReopenedError
from core.models import Stage, StageKey
from core.statuses import JobStatus, StageStatus
from engine.jobs.canceller import request_cancellation
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)


def require_unopened(work: UnitOfWork, stage: Stage) -> None:
    """Checks that a stage has not been opened again since it was read.

    Whoever has changed the job's row in this transaction is sure of it until the commit: opening begins with that row.

    Raises:
        StageReopenedError: it has.
    """
    now = work.stages.get(stage.key)
    if now is None or now.openings != stage.openings:
        raise StageReopenedError(f"stage {stage.number} of job {stage.job_id} was opened again while it was aggregated")


class JobEndings:
    """Ends jobs; each job ends once, because of the statuses that the rows expect.

    Args:
        database: the rows.
        queue: where the message goes that cancels what is left of a failed job.
    """

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def complete(self, last: Stage, stage_result: str, job_result: str) -> None:
        """Ends a job whose last stage has finished; with errors, if any of its tasks failed.

        Args:
            last: the stage as it was when its results were read.
            stage_result: what they came to, as JSON.
            job_result: what the job came to, as JSON.

        Raises:
            StageReopenedError: it was opened again meanwhile.
        """
        with self._database.transaction() as work:
            failed_tasks = sum(stage.failed_tasks for stage in work.stages.of_job(last.job_id))
            status = JobStatus.COMPLETED_WITH_ERRORS if failed_tasks else JobStatus.COMPLETED
            ended = work.jobs.finish(last.job_id, status, job_result, None)
            if ended:
                require_unopened(work, last)
                work.stages.record_result(last.key, stage_result)
        if ended:
            logger.info("job %s %s", last.job_id, status)

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
            work.stages.stop(StageKey(job_id, stage), StageStatus.FAILED)
            left = work.stops.live_batches(StageKey(job_id, stage))
        if ended:
            logger.error("job %s failed in stage %d: %s: %s", job_id, stage, error["type"], error["message"])
        if ended and left.batches:
            request_cancellation(self._queue, StageKey(job_id, stage))
