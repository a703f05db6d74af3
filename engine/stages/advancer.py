"""One advance message: aggregate an ended stage, then start the next or end the job."""

import logging
from typing import Any

from controllers.base import JobController
from core import json_text
from core.errors import AggregateError, InvalidInputError, StageFailedError, StageReopenedError
from core.messages import JobAction, JobMessage
from core.models import Job, Stage, StageKey
from core.statuses import StageStatus
from engine.process.limits import Limits
from engine.process.sending import send_job_message
from engine.stages.contexts import Contexts
from engine.stages.job_endings import JobEndings, require_unopened
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)


class Advancer:
    """Moves jobs past their ended stages.

    Args:
        database: the rows.
        queue: where the next stage's message goes.
        contexts: builds what controllers are told.
        endings: ends jobs.
        limits: the size limit of aggregated results.
    """

    def __init__(
        self, database: Database, queue: MessageQueue, contexts: Contexts, endings: JobEndings, limits: Limits
    ) -> None:
        self._database = database
        self._queue = queue
        self._contexts = contexts
        self._endings = endings
        self._limits = limits

    def advance(self, job: Job, stage: Stage, controller: JobController[Any]) -> None:
        """Aggregates the ended stage that the job stands at, and moves on.

        Aggregating takes its time: others may handle the same message meanwhile, and a client open the stage again.
        Then nothing is written.

        Raises:
            JobFailure: the stage failed, or its result cannot be stored.
            LockstepError: infrastructure failed; the message shall be delivered again.
        """
        try:
            self._advance(job, stage, controller)
        except StageReopenedError as exc:
            logger.warning("%s; what was aggregated is void", exc)

    def _advance(self, job: Job, stage: Stage, controller: JobController[Any]) -> None:
        if stage.status == StageStatus.FAILED:
            of_them = "" if stage.total_tasks is None else f" of {stage.total_tasks:,}"
            raise StageFailedError(
                f"{stage.failed_tasks:,}{of_them} tasks of stage {stage.number} ({stage.name}) failed; "
                f"it tolerates a fraction of {stage.max_failed_fraction:g}"
            )
        job_context = self._contexts.job(job, controller)
        stage_context = self._contexts.stage(job, controller, stage.number)
        results = self._contexts.results(job.job_id, stage.number)
        stage_result = controller.aggregate_stage_results(job_context, stage_context, results)
        encoded = self._encode(stage_result, f"the result of stage {stage.number}")
        if stage.number < job.total_stages:
            self._start_next(job, stage, controller, encoded)
            return
        with self._database.transaction() as work:
            earlier = [each.result for each in work.stages.of_job(job.job_id) if each.number < stage.number]
        job_result = controller.aggregate_job_results(job_context, [*earlier, stage_result])
        self._endings.complete(stage, encoded, self._encode(job_result, "the job's result"))

    def _start_next(self, job: Job, stage: Stage, controller: JobController[Any], stage_result: str) -> None:
        following = stage.number + 1
        spec = controller.stages[following - 1]
        with self._database.transaction() as work:
            if work.jobs.advance(job.job_id, from_stage=stage.number):
                require_unopened(work, stage)
                work.stages.record_result(stage.key, stage_result)
                work.stages.create(StageKey(job.job_id, following), spec.name, spec.max_failed_fraction)
        logger.info("job %s goes on to stage %d (%s)", job.job_id, following, spec.name)
        send_job_message(self._queue, JobMessage(job.job_id, following, JobAction.DISPATCH))

    def _encode(self, value: Any, what: str) -> str:
        try:
            return json_text.encode(value, what=what, max_bytes=self._limits.max_aggregate_bytes)
        except InvalidInputError as exc:
            raise AggregateError(str(exc)) from exc
