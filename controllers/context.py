"""The contexts that a job type's code gets: of a job, a stage, a task."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from controllers.run_state import RunState, UnsavedRunState
from controllers.services import Services
from core.checkpoints import START, Checkpoint
from core.task_runs import TaskResult
from core.telemetry import telemetry

JsonValue = Any
"""Any value that JSON can express: None, bool, int, float, str, and lists and string-keyed mappings of these."""

TaskParameters = Mapping[str, Any]
"""A task's parameters: those of its definition, decoded from JSON."""


class JobParameters(BaseModel):
    """The parameters that every job accepts; a job type's own parameters derive from this class.

    Attributes:
        use_service_bus: true (the default) queues tasks in aligned batches, false one task at a time; in an app with
            both transports, false also means storage queues.
    """

    # Parameters are payload: they belong neither in logs nor in errors.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    use_service_bus: bool = True


P = TypeVar("P", bound=JobParameters)


@dataclass(frozen=True)
class JobContext(Generic[P]):
    """One job, as its controller sees it."""

    job_id: str
    parameters: P
    services: Services = field(repr=False)


class PreviousResults(Protocol):
    """Opens an iterator over the task results of the stage before."""

    def __call__(self, first_index: int = 0, /) -> Iterator[TaskResult]:
        """Yields the results in index order, from an index on."""
        ...


@dataclass(frozen=True)
class StageContext:
    """One stage of a job, as its controller sees it.

    Attributes:
        number: from 1.
        name: as the controller declares it.
        previous_result: the result of `aggregate_stage_results` for the stage before; None in the first stage.
        previous_results: opens an iterator over the task results of the stage before, in index order from a given
            index (0 by default) on, read page by page; empty in the first stage.
        checkpoint: where `create_stage_tasks` goes on; `first_index` and `cursor` are its parts.
    """

    number: int
    name: str
    previous_result: JsonValue = None
    previous_results: PreviousResults = field(default=lambda _first_index=0: iter(()), repr=False)
    checkpoint: Checkpoint = START

    @property
    def first_index(self) -> int:
        """The index of the first task that `create_stage_tasks` has to yield: 0, unless its tasks have cursors."""
        return self.checkpoint.tasks

    @property
    def cursor(self) -> JsonValue:
        """The cursor of the task before `first_index`, or None at the start of the stage."""
        return self.checkpoint.cursor


@dataclass(frozen=True)
class TaskContext:
    """One run of one task, as its handler sees it.

    Attributes:
        job_id: the job.
        task_id: the task.
        batch_id: the aligned batch of the task.
        stage: from 1.
        task_index: from 0.
        attempt: 1 for the first run.
        services: the files, hosts and database that the handler may use.
        is_cancelled: tells whether the run is no longer wanted: its stage was stopped, its lease was lost, its timeout
            is over, or its process shuts down. A handler that learns of a shutdown this way may end as it likes: the
            task runs again, and this attempt does not count.
        previous_results: opens an iterator over the task results of the stage before, as `StageContext` does; holds no
            connection between two pages. Raises `NoPreviousStageError` in stage 1.
        read_job_parameters: reads `job_parameters`.
        state: behind `checkpoint`, `last_checkpoint` and `progress`.

    If PostgreSQL is unavailable, reads and checkpoints wait for up to a lease. Then they raise, and the task is
    released: this attempt does not count, whatever the handler makes of the error. Isolated tasks have checkpoints and
    progress, but neither of the two reads.
    """

    job_id: str
    task_id: str
    batch_id: str
    stage: int
    task_index: int
    attempt: int
    services: Services = field(repr=False)
    is_cancelled: Callable[[], bool] = field(default=lambda: False, repr=False)
    previous_results: PreviousResults = field(default=lambda _first_index=0: iter(()), repr=False)
    read_job_parameters: Callable[[], Any] = field(default=JobParameters, repr=False)
    state: RunState = field(default_factory=UnsavedRunState, repr=False)

    @property
    def job_parameters(self) -> Any:
        """The parameters of the task's job, as the model that the job type declares.

        They are read at the first use, once for each call of a handler; a task that does not use them costs no query.
        """
        return self.read_job_parameters()

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context of this run, for requests to other services; None while telemetry is off."""
        return telemetry().traceparent()

    @property
    def last_checkpoint(self) -> JsonValue:
        """The state that was written last by `checkpoint` or `ContinueLater`, by any run of the task; None at first."""
        return self.state.last_checkpoint

    def checkpoint(self, state: JsonValue) -> None:
        """Keeps a state from which the next run of this task goes on, whatever ends this one.

        Each call is a write to PostgreSQL, so call it after seconds of work rather than after each row.

        Args:
            state: JSON-able, at most `MAX_RESULT_BYTES`.

        Raises:
            CheckpointError: the state cannot be stored; the task fails.
            TaskLeaseLostError: the task runs elsewhere; let it end the handler, whose outcome does not count.
            DatabaseError: PostgreSQL was unavailable for as long as a lease.
        """
        self.state.checkpoint(state)

    def progress(self, fraction: float, note: str = "") -> None:
        """Says how far this task is, for the API. It is written every 5 s at most, so it may be called often.

        Args:
            fraction: from 0 to 1.
            note: up to 500 characters; secrets are taken out.

        Raises:
            TaskLeaseLostError: the task runs elsewhere; let it end the handler, whose outcome does not count.
        """
        self.state.progress(fraction, note)

    @property
    def idempotency_key(self) -> str:
        """The same key for every run of this task: pass it to systems that must do a thing only once."""
        return self.task_id


Handler = Callable[[TaskContext, TaskParameters], JsonValue]
"""A task handler: a plain function from context and parameters to a JSON-able result."""
