import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from controllers.base import JobController
from core import json_text
from core.checkpoints import Fold
from core.errors import AggregateError, AggregationLostError, InvalidInputError, SliceEnded, StageTooSlowError
from core.models import Job, Stage
from core.task_runs import TaskResult
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.contexts import Contexts
from engine.stages.controller_call import ControllerCall
from repositories.ports import Database
from repositories.transactions import transact


class StageResults:
    """Makes the result of a finished stage from the results of its tasks: in one piece, or slice by slice."""

    def __init__(self, database: Database, contexts: Contexts, limits: Limits, shutdown: Shutdown) -> None:
        self._database = database
        self._contexts = contexts
        self._limits = limits
        self._shutdown = shutdown

    def aggregate(self, job: Job, stage: Stage, controller: JobController[Any]) -> Any:
        """Returns the stage's result.

        Raises:
            SliceEnded: the results are folded in part; another slice goes on.
            AggregationLostError: another host has folded them meanwhile, or the stage was reopened.
            JobFailure: the job type refuses the results, or takes too long.
        """
        call = ControllerCall()
        in_time = self._watch(stage, "fold" if controller.folds_stage_results else "aggregate")
        job_context = self._contexts.job(job, controller)
        stage_context = self._contexts.stage(
            job, controller, stage.number, watched=lambda results: call.results(in_time(results))
        )
        if controller.folds_stage_results:

            def fold(state: Any, page: Sequence[TaskResult]) -> Any:
                with call.controllers():
                    return controller.fold_stage_results(job_context, stage_context, state, iter(page))

            return self._fold(stage, fold)
        with call.controllers():
            return controller.aggregate_stage_results(
                job_context, stage_context, call.results(in_time(self._contexts.results(stage.key)))
            )

    def encode(self, value: Any, what: str) -> str:
        """Returns a result as JSON text.

        Raises:
            AggregateError: JSON cannot express it, or it is too large.
        """
        try:
            return json_text.encode(value, what=what, max_bytes=self._limits.max_aggregate_bytes)
        except InvalidInputError as exc:
            raise AggregateError(str(exc)) from exc

    def _watch(self, stage: Stage, verb: str) -> Callable[[Iterator[TaskResult]], Iterator[TaskResult]]:
        limit_seconds = self._limits.aggregate_seconds
        ends_at = time.monotonic() + limit_seconds

        def in_time(results: Iterator[TaskResult]) -> Iterator[TaskResult]:
            for count, result in enumerate(results):
                if time.monotonic() >= ends_at:
                    raise StageTooSlowError(
                        f"stage {stage.number} ({stage.name}) cannot be aggregated: {verb}_stage_results has read "
                        f"{count:,} results in {limit_seconds:g} s, twice DISPATCH_SLICE_SECONDS. Raise this setting, "
                        "but keep twice its value below functionTimeout, or let the job type override "
                        'fold_stage_results (docs/architecture.md, "Long stages")'
                    )
                yield result

        return in_time

    def _fold(self, stage: Stage, folded_with: Callable[[Any, Sequence[TaskResult]], Any]) -> Any:
        ends_at = time.monotonic() + self._limits.dispatch_slice_seconds
        with self._database.transaction() as work:
            stored = work.stages.fold(stage.key)
        fold = stored
        for page in self._contexts.result_pages(stage.key, fold.tasks):
            if page and fold is not stored and (self._shutdown.requested or time.monotonic() >= ends_at):
                self._store(stage, stored, fold)
                raise SliceEnded(f"the results of stage {stage.number} of job {stage.job_id} are folded in part")
            if page or fold.tasks == 0:
                state = folded_with(fold.state, page)
                fold = Fold(fold.tasks + len(page), json.loads(self._encode_state(stage, state)))
        return fold.state

    def _store(self, stage: Stage, before: Fold, fold: Fold) -> None:
        state = self._encode_state(stage, fold.state)
        if not transact(self._database, lambda work: work.stages.record_fold(stage, before.tasks, fold.tasks, state)):
            raise AggregationLostError(
                f"the results of stage {stage.number} of job {stage.job_id} were folded elsewhere, or it was reopened"
            )

    def _encode_state(self, stage: Stage, state: Any) -> str:
        return self.encode(state, f"the state of stage {stage.number}")
