import logging
from typing import Any

from controllers.base import JobController
from core.errors import AggregationLostError, SliceEnded, StageFailedError, StageReopenedError
from core.messages import JobAction, JobMessage
from core.models import Job, Stage, StageKey
from core.statuses import StageStatus
from engine.process.sending import send_job_message
from engine.stages.contexts import Contexts, spec
from engine.stages.controller_call import ControllerCall
from engine.stages.error_digest import READ_FAILED_TASKS, failure
from engine.stages.job_endings import JobEndings, require_unopened
from engine.stages.stage_results import StageResults
from repositories.ports import Database, MessageQueue, TransactionKind, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)


class Advancer:
    """Moves jobs from stage to stage: aggregates one that has ended, starts the next or ends the job."""

    def __init__(
        self, database: Database, queue: MessageQueue, contexts: Contexts, endings: JobEndings, results: StageResults
    ) -> None:
        self._database = database
        self._queue = queue
        self._contexts = contexts
        self._endings = endings
        self._results = results

    def advance(self, job: Job, stage: Stage, controller: JobController[Any]) -> None:
        """Aggregates the job's current stage, which has ended; starts the next stage, or ends the job.

        Aggregation takes time. If another host handles the same message meanwhile, or a client reopens the stage,
        nothing is written. If the time of this slice is over, another message continues the aggregation.

        Raises:
            JobFailure: the stage failed, or its result cannot be stored.
            LockstepError: infrastructure failed; the broker must deliver the message again.
        """
        try:
            self._advance(job, stage, controller)
        except SliceEnded as exc:
            logger.info("%s; another slice goes on", exc)
            send_job_message(self._queue, JobMessage(job.job_id, stage.number, JobAction.ADVANCE))
        except (AggregationLostError, StageReopenedError) as exc:
            logger.warning("%s; its aggregated result is dropped", exc)

    def _advance(self, job: Job, stage: Stage, controller: JobController[Any]) -> None:
        if stage.status == StageStatus.FAILED:
            with self._database.transaction() as work:
                errors = work.tasks.first_errors(stage.key, READ_FAILED_TASKS)
            raise StageFailedError(failure(stage, errors))
        stage_result = self._results.aggregate(job, stage, controller)
        encoded = self._results.encode(stage_result, f"the result of stage {stage.number}")
        if stage.number < job.total_stages:
            self._start_next(job, stage, controller, encoded)
            return
        earlier = self._results_before(stage) if stage.number > 1 else []
        job_context = self._contexts.job(job, controller)
        with ControllerCall().controllers():
            job_result = controller.aggregate_job_results(job_context, [*earlier, stage_result])
        self._endings.complete(job.job_type, stage, encoded, self._results.encode(job_result, "the job's result"))

    def _results_before(self, stage: Stage) -> list[Any]:
        with self._database.transaction(TransactionKind.ONE_STATEMENT) as work:
            results = work.stages.results_of_job(stage.job_id)
        return [result for number, result in results.items() if number < stage.number]

    def _start_next(self, job: Job, stage: Stage, controller: JobController[Any], stage_result: str) -> None:
        following = StageKey(job.job_id, stage.number + 1)
        following_spec = spec(controller, following.number)

        def start(work: UnitOfWork) -> None:
            if work.jobs.advance(stage.key):
                require_unopened(work, stage)
                work.stages.record_result(stage.key, stage_result)
                work.stages.create(following, following_spec.name, following_spec.max_failed_fraction)

        transact(self._database, start)
        logger.info("job %s goes on to stage %d (%s)", job.job_id, following.number, following_spec.name)
        send_job_message(self._queue, JobMessage(job.job_id, following.number, JobAction.DISPATCH))
