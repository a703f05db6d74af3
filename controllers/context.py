"""What a job's code is told: about the job, the stage, the task."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from controllers.services import Services
from core.models import TaskResult

JsonValue = Any
"""Whatever JSON can say: None, bool, int, float, str, lists and string-keyed mappings of these."""

TaskParameters = Mapping[str, Any]
"""What a task is told: the parameters of its definition, read back from JSON."""


class JobParameters(BaseModel):
    """What every job accepts; a job type's own parameters derive from this.

    Attributes:
        use_service_bus: true (the default) queues tasks in aligned batches, false one task at a time.
    """

    # Parameters are payload: they belong into neither logs nor errors.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    use_service_bus: bool = True


P = TypeVar("P", bound=JobParameters)


@dataclass(frozen=True)
class JobContext(Generic[P]):
    """One job, as its controller sees it."""

    job_id: str
    parameters: P
    services: Services = field(repr=False)


@dataclass(frozen=True)
class StageContext:
    """One stage of a job, as its controller sees it.

    Attributes:
        number: from 1.
        name: as the controller declares it.
        previous_result: what `aggregate_stage_results` returned for the stage before; None in the first.
        previous_results: opens an iterator over the task results of the stage before, in index order,
            read page by page; empty in the first stage.
    """

    number: int
    name: str
    previous_result: JsonValue = None
    previous_results: Callable[[], Iterator[TaskResult]] = field(default=lambda: iter(()), repr=False)


@dataclass(frozen=True)
class TaskContext:
    """One run of one task, as its handler sees it.

    Attributes:
        job_id: the job.
        task_id: the task.
        batch_id: the aligned batch it came in.
        stage: from 1.
        task_index: from 0.
        attempt: 1 for the first run.
        services: what the outside world lends.
        is_cancelled: tells whether the run is no longer wanted: its job was cancelled or failed, its lease was lost, or
            its process shuts down. In a shutdown the handler may return or raise: the task runs again, as if for the
            first time.
    """

    job_id: str
    task_id: str
    batch_id: str
    stage: int
    task_index: int
    attempt: int
    services: Services = field(repr=False)
    is_cancelled: Callable[[], bool] = field(default=lambda: False, repr=False)

    @property
    def idempotency_key(self) -> str:
        """The same for every run of this task: give it to systems that must do a thing only once."""
        return self.task_id


Handler = Callable[[TaskContext, TaskParameters], JsonValue]
"""A task handler: a plain function from context and parameters to a JSON-able result."""
