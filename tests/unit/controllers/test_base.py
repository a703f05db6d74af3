from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from controllers.base import BatchWindow, DispatchProtocol, JobController, StageSpec, Tasks
from controllers.context import JobContext, StageContext
from controllers.services import Services
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import ConfigurationError, StageDefinitionError
from core.lanes import Lane
from core.retry import TaskPolicy
from tests.fakes.database import FakeDatabase
from tests.support.sample_jobs import SampleParameters, counted, sample_job

JOB = "0123456789abcdef" * 2
STAGE = StageContext(1, "only")


class BatchList(BatchWindow):
    """Records its batches."""

    def __init__(self) -> None:
        self.two_phase: list[AlignedBatch] = []
        self.atomic: list[AlignedBatch] = []

    @override
    def watched(self, definitions: Tasks) -> Iterator[TaskDefinition]:
        return iter(definitions)

    @override
    def put_two_phase(self, batch: AlignedBatch) -> None:
        self.two_phase.append(batch)

    @override
    def put_atomic(self, batch: AlignedBatch) -> None:
        self.atomic.append(batch)


def queued(controller_class: type[JobController[Any]], *, stage: StageContext = STAGE, **parameters: Any) -> BatchList:
    services = Services(Path(), frozenset(), FakeDatabase())
    batches = BatchList()
    job = JobContext(JOB, SampleParameters(**parameters), services)
    controller_class().queue_stage_tasks(job, stage, batches)
    return batches


def sizes(batches: list[AlignedBatch]) -> list[int]:
    return [batch.task_count for batch in batches]


def test_tasks_go_in_aligned_batches() -> None:
    assert sizes(queued(sample_job(counted(237))).two_phase) == [100, 100, 37]


def test_without_service_bus_batches_there_are_batches_of_one() -> None:
    assert sizes(queued(sample_job(counted(3)), use_service_bus=False).two_phase) == [1, 1, 1]


def test_a_stage_without_tasks_queues_nothing() -> None:
    batches = queued(sample_job(counted(0)))
    assert batches.two_phase + batches.atomic == []


@pytest.mark.parametrize(("count", "expected"), [(4, [1, 1, 1, 1]), (5, [5]), (6, [6])])
def test_a_stage_with_fewer_tasks_than_the_threshold_goes_one_by_one(count: int, expected: list[int]) -> None:
    class Thresholded(sample_job(counted(count))):  # type: ignore[misc] # a class made by a function
        aligned_threshold = 5

    assert sizes(queued(Thresholded).two_phase) == expected


def test_the_controller_chooses_the_protocol() -> None:
    batches = queued(sample_job(counted(3), protocol=DispatchProtocol.ATOMIC))
    assert (sizes(batches.atomic), batches.two_phase) == ([3], [])


def test_a_stage_may_choose_another_protocol_than_its_controller() -> None:
    stages = (StageSpec("only", dispatch_protocol=DispatchProtocol.TWO_PHASE),)
    batches = queued(sample_job(counted(3), protocol=DispatchProtocol.ATOMIC, stages=stages))
    assert (sizes(batches.two_phase), batches.atomic) == ([3], [])


def test_the_lane_is_that_of_the_task_type() -> None:
    batches = queued(sample_job(counted(3), policy=TaskPolicy(lane=Lane.LONG)))
    assert [batch.lane for batch in batches.two_phase] == [Lane.LONG]


def test_a_task_type_that_is_not_declared_is_refused_with_those_that_are() -> None:
    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        yield TaskDefinition("sample.typo", {}, 0)

    with pytest.raises(StageDefinitionError, match=r"'sample\.typo', which it does not declare; declared are sample\."):
        queued(sample_job(tasks))


def test_the_model_of_the_parameters_stands_in_the_brackets() -> None:
    class Derived(sample_job(counted(1))):  # type: ignore[misc] # a class made by a function
        pass

    assert (sample_job(counted(1)).Parameters, Derived.Parameters) == (SampleParameters, SampleParameters)


def test_a_model_that_contradicts_the_brackets_is_refused() -> None:
    class Other(SampleParameters):
        pass

    class Same(JobController[SampleParameters]):
        Parameters = SampleParameters

    assert Same.Parameters is SampleParameters
    with pytest.raises(ConfigurationError, match=r"Contradicts assigns another model to Parameters than SampleParam"):

        class Contradicts(JobController[SampleParameters]):
            Parameters = Other


def test_definitions_are_consumed_as_batches_are_taken() -> None:
    taken = 0

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        nonlocal taken
        for definition in counted(1_000)(job, stage):
            taken += 1
            yield definition

    class Stops(BatchList):
        @override
        def put_two_phase(self, batch: AlignedBatch) -> None:
            raise StopAtFirstBatch

    class StopAtFirstBatch(Exception):  # noqa: N818 - a signal
        pass

    services = Services(Path(), frozenset(), FakeDatabase())
    with pytest.raises(StopAtFirstBatch):
        sample_job(tasks)().queue_stage_tasks(JobContext(JOB, SampleParameters(), services), STAGE, Stops())
    assert taken == 100
