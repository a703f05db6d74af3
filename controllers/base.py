"""The base of every job type.

A job type is a class that derives from `JobController`, with its task types. The base class cuts the yielded tasks into
aligned batches and puts them, one by one, into the window that the engine passes in. The engine decides how many
batches are in flight, and handles failures.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar, Generic, Protocol, get_args

from controllers.context import JobContext, JobParameters, JsonValue, P, StageContext
from controllers.outcome import JobOutcome
from controllers.services import Services
from controllers.task_type import TaskType
from core.batching import BATCH_SIZE, aligned_batches
from core.declared import require_name, require_number, require_one_of
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import ConfigurationError, StageDefinitionError
from core.lanes import Lane, MessagePer
from core.task_runs import TaskResult


class DispatchProtocol(StrEnum):
    """How rows and messages are kept in lockstep; `docs/architecture.md` compares the two."""

    TWO_PHASE = "two_phase"  # rows as pending_queue, then messages, then rows as queued
    ATOMIC = "atomic"  # rows and messages inside one database transaction


class WhenExclusive(StrEnum):
    """What happens to a submission whose exclusive key another job holds."""

    WAIT = "wait"  # it is accepted, and starts when the key is free
    REFUSE = "refuse"  # the client gets 409 with the id of the other job


@dataclass(frozen=True)
class StageSpec:
    """One stage of a job type.

    Attributes:
        name: shown to people.
        max_failed_fraction: the fraction of its tasks (0 to 1) that may fail; if more fail, the job fails.
        dispatch_protocol: overrides the controller's for this stage.
        message_per: "task", or "batch": one message carries up to 100 short tasks of a job that is not urgent. For
            stages of many short tasks: see `docs/choosing-how-a-task-runs.md`. Without it, "task" over Service Bus and
            "batch" over storage queues, which take one message a call.
    """

    name: str
    max_failed_fraction: float = 0.0
    dispatch_protocol: DispatchProtocol | None = None
    message_per: MessagePer | None = None

    def __post_init__(self) -> None:
        """Refuses a stage that no row can hold.

        Raises:
            ConfigurationError: names the wrong value and the right ones.
        """
        require_name("the name of a stage", self.name)
        require_number(f"max_failed_fraction of stage {self.name!r}", self.max_failed_fraction, 0, 1)
        if self.dispatch_protocol is not None:
            require_one_of(f"dispatch_protocol of stage {self.name!r}", self.dispatch_protocol, DispatchProtocol)
        if self.message_per is not None:
            require_one_of(f"message_per of stage {self.name!r}", self.message_per, MessagePer)


Tasks = Iterable[TaskDefinition]
"""The task definitions that `create_stage_tasks` yields."""

TaskResults = Iterator[TaskResult]
"""The results of a stage's tasks in index order, read page by page."""


class BatchWindow(Protocol):
    """Takes the batches of one stage, to write them to the database and send them to the broker.

    Attributes:
        message_per: how the short tasks of a stage travel that does not say it.
    """

    message_per: MessagePer = MessagePer.TASK

    def watched(self, definitions: Tasks) -> Iterator[TaskDefinition]:
        """Yields the definitions, and ends the dispatch between two of them when its time is over."""
        ...

    def put_two_phase(self, batch: AlignedBatch) -> None:
        """Queues a batch by the two-phase protocol; skips it when an earlier dispatch has queued it."""
        ...

    def put_atomic(self, batch: AlignedBatch) -> None:
        """Queues a batch by the atomic protocol; skips it when an earlier dispatch has queued it."""
        ...


class JobController(ABC, Generic[P]):
    """Base class of the job types: `class WordCount(JobController[WordCountParameters])`.

    Class attributes:
        job_type: the name in `POST /api/jobs/{job_type}`.
        Parameters: the pydantic model of its parameters, taken from the brackets after `JobController`.
        stages: its stages in order.
        task_types: its task types.
        migrations: the directory of its own tables' migrations, if it has any: `{job_type}.0001.what_it_does.sql`.
        dispatch_protocol: "two_phase" (the default) or "atomic".
        when_exclusive: what happens to a submission whose exclusive key another job holds: "wait" (the default), or
            "refuse".
        aligned_threshold: a stage with fewer tasks than this is queued one task at a time; at most 100,000, because
            so many definitions are held in memory.
    """

    job_type: ClassVar[str]
    Parameters: ClassVar[type[JobParameters]]
    stages: ClassVar[tuple[StageSpec, ...]]
    task_types: ClassVar[Sequence[TaskType]]
    migrations: ClassVar[Path | None] = None
    dispatch_protocol: ClassVar[DispatchProtocol] = DispatchProtocol.TWO_PHASE
    when_exclusive: ClassVar[WhenExclusive] = WhenExclusive.WAIT
    aligned_threshold: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        """Takes the model of the parameters from the brackets.

        Raises:
            ConfigurationError: the class also assigns `Parameters`, to another model.
        """
        super().__init_subclass__()
        arguments = [each for base in cls.__dict__.get("__orig_bases__", ()) for each in get_args(base)]
        for model in arguments:
            if isinstance(model, type) and issubclass(model, JobParameters):
                if cls.__dict__.get("Parameters", model) is not model:
                    raise ConfigurationError(
                        f"{cls.__qualname__} assigns another model to Parameters than {model.__name__} "
                        "in the brackets of JobController; leave the assignment out"
                    )
                cls.Parameters = model

    def check_submission(self, parameters: P, services: Services) -> None:
        """Looks at the world before a job is accepted: is the file there, does it fit? Accepts all unless overridden.

        It runs before the job exists, and must end within 20 s. A job that was accepted before is not checked again,
        and one that is to start after a time or after other jobs is not checked, because they may change what is found.
        So a job looks again when it runs.

        Raises:
            InvalidParameterError: names the wrong parameter; the client gets 400. So does any other
                `InvalidInputError`, and a `JobFailure`.
            UnreachableError: the check is not possible now; the client gets 503. So does a `ConnectionError` or a
                `TimeoutError`.
        """

    def exclusive_key(self, parameters: P) -> str | None:
        """Names what no two jobs may work on at the same time, for example the target table; None unless overridden.

        A job holds its key from its start until it has ended and none of its tasks runs any more; not while its
        `job_ended` runs. Jobs of other types with the same key count as well. It must follow from the parameters alone,
        and has 1 to 255 characters.
        """
        return None

    @abstractmethod
    def create_stage_tasks(self, job: JobContext[P], stage: StageContext) -> Tasks:
        """Yields the tasks of a stage, index 0, 1, 2, ...

        It must be deterministic: an interrupted dispatch is replayed, and a replay that yields other tasks fails the
        job. It is consumed lazily, so it may yield a million tasks without holding them in memory.

        A stage whose tasks take longer to yield than a slice lasts (`DISPATCH_SLICE_SECONDS`) gives them cursors, and
        begins with the task `stage.first_index`: then a slice goes on where an earlier one stopped.

        Raises:
            JobFailure: the job cannot succeed; it fails with this message.
        """

    def aggregate_stage_results(self, job: JobContext[P], stage: StageContext, results: TaskResults) -> JsonValue:
        """Makes one JSON-able value of a finished stage's results; returns None unless overridden.

        It must end within twice `DISPATCH_SLICE_SECONDS`; `fold_stage_results` has no such limit.

        Args:
            job: the job.
            stage: the finished stage.
            results: its task results in index order, read page by page.
        """
        return None

    def fold_stage_results(
        self, job: JobContext[P], stage: StageContext, state: JsonValue, results: TaskResults
    ) -> JsonValue:
        """Adds the next results of a finished stage to its state, and returns the new state.

        If a job type overrides this method, Lockstep calls it instead of `aggregate_stage_results`, page by page and
        in as many invocations as it takes. The last state is the stage's result.

        Args:
            job: the job.
            stage: the finished stage.
            state: what the last call returned, read back from JSON; None at the first call.
            results: the next task results in index order; none if the stage has no tasks.
        """
        raise NotImplementedError

    @property
    def folds_stage_results(self) -> bool:
        """Whether the job type overrides `fold_stage_results`."""
        return type(self).fold_stage_results is not JobController.fold_stage_results

    def aggregate_job_results(self, job: JobContext[P], stage_results: list[JsonValue]) -> JsonValue:
        """Makes the job's result of its stage results, in order; returns their list unless overridden."""
        return stage_results

    def job_ended(self, job: JobContext[P], outcome: JobOutcome) -> None:
        """Cleans up after a job, or tells others of its end; does nothing unless overridden.

        Lockstep calls it at least once after each end of a job (completed, with errors, failed, cancelled), when the
        last task of the job has ended, and again after the next end of a job that was retried or resumed. It may be
        called again after it has succeeded, and must end within 5 minutes. When it raises, it is called again after
        10, 20, 40 s and so on, 8 times in all; its failures are events of the job and never change the job's status.

        Args:
            job: the job.
            outcome: how it ended.
        """

    @property
    def has_end_hook(self) -> bool:
        """Whether the job type overrides `job_ended`."""
        return type(self).job_ended is not JobController.job_ended

    def queue_stage_tasks(self, job: JobContext[P], stage: StageContext, window: BatchWindow) -> None:
        """Queues the tasks of a stage: in aligned batches, or one at a time if the job's parameters ask for that."""
        definitions = window.watched(self.create_stage_tasks(job, stage))
        first = list(islice(definitions, 1))
        skipped = 0 if first and first[0].index == 0 else stage.first_index
        first += islice(definitions, max(0, self.aligned_threshold - skipped - 1))
        definitions = chain(first, definitions)
        if job.parameters.use_service_bus and skipped + len(first) >= self.aligned_threshold:
            self._queue_tasks_in_batches(job, stage, definitions, window)
        else:
            self._queue_tasks_individually(job, stage, definitions, window)

    def create_stage_tasks_aligned_batches(
        self, job: JobContext[P], stage: StageContext, definitions: Tasks, batch_size: int
    ) -> Iterator[AlignedBatch]:
        """Cuts a stage's definitions into aligned batches, lazily."""
        return aligned_batches(job.job_id, stage.number, definitions, self._lane_of, batch_size, stage.checkpoint)

    def process_batch_atomic(self, batch: AlignedBatch, window: BatchWindow) -> None:
        """Queues one batch with its rows and messages inside one database transaction."""
        window.put_atomic(batch)

    def process_batch_two_phase(self, batch: AlignedBatch, window: BatchWindow) -> None:
        """Queues one batch: rows as pending, then messages, then rows as queued."""
        window.put_two_phase(batch)

    def _queue_tasks_in_batches(
        self, job: JobContext[P], stage: StageContext, definitions: Tasks, window: BatchWindow
    ) -> None:
        self._queue(job, stage, definitions, window, BATCH_SIZE)

    def _queue_tasks_individually(
        self, job: JobContext[P], stage: StageContext, definitions: Tasks, window: BatchWindow
    ) -> None:
        self._queue(job, stage, definitions, window, batch_size=1)

    def _queue(
        self,
        job: JobContext[P],
        stage: StageContext,
        definitions: Tasks,
        window: BatchWindow,
        batch_size: int,
    ) -> None:
        spec = self.stages[stage.number - 1]
        message_per = spec.message_per or window.message_per
        enveloped = message_per == MessagePer.BATCH and batch_size > 1
        protocol = spec.dispatch_protocol or self.dispatch_protocol
        process = self.process_batch_atomic if protocol == DispatchProtocol.ATOMIC else self.process_batch_two_phase
        for batch in self.create_stage_tasks_aligned_batches(job, stage, definitions, batch_size):
            process(replace(batch, enveloped=True) if enveloped and batch.lane == Lane.FAST else batch, window)

    def _lane_of(self, task_type: str) -> Lane:
        try:
            return self._lanes[task_type]
        except KeyError:
            raise StageDefinitionError(
                f"job type {self.job_type} yields a task of type {task_type!r}, which it does not declare; "
                f"declared are {', '.join(sorted(self._lanes))}"
            ) from None

    @cached_property
    def _lanes(self) -> Mapping[str, Lane]:
        return {each.name: each.policy.lane for each in self.task_types}
