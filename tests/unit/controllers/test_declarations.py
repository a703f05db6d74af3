from collections.abc import Callable
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.registry import Registry
from core.errors import ConfigurationError
from core.retry import Backoff, TaskPolicy

NAN, INFINITY = float("nan"), float("inf")

HANDLER = lockstep.task_type("a.b")(lambda context, parameters: None).handler


@pytest.mark.parametrize(
    ("declare", "value", "what", "right"),
    [
        *(
            (lambda value: Backoff(cap_seconds=value), value, "Backoff.cap_seconds", "a number from 0 to 2,592,000")
            for value in (1e18, INFINITY, NAN, 10**400, -1, "300", True, None)
        ),
        *(
            (lambda value: Backoff(base_seconds=value), value, "Backoff.base_seconds", "a number from 0 to 2,592,000")
            for value in (1e18, INFINITY, NAN, -0.5, "2")
        ),
        *(
            (lambda value: Backoff(factor=value), value, "Backoff.factor", "a number from 1 to 100")
            for value in (0.5, 1e6, INFINITY, NAN, -2, "2")
        ),
        *(
            (lambda value: TaskPolicy(max_attempts=value), value, "max_attempts", "a whole number from 1 to 1,000")
            for value in (0, -1, 1_001, 2.5, "3", True, None, NAN)
        ),
        (lambda value: TaskPolicy(backoff=value), 2.0, "backoff", "a Backoff"),
        *(
            (lambda value: TaskPolicy(lane=value), value, "lane", "Lane.FAST or Lane.LONG")
            for value in ("slow", "fast")
        ),
        *(
            (
                lambda value: TaskPolicy(timeout_seconds=value),
                value,
                "timeout of a task type",
                "a number from 0.1 to 2,592,000",
            )
            for value in (0, -1, 0.01, 1e9, INFINITY, NAN, "5", True)
        ),
        *(
            (
                lambda value: lockstep.task_type("sample.work", max_running=value)(HANDLER),
                value,
                "max_running of a task type",
                "a whole number from 1 to 100,000",
            )
            for value in (0, -1, 2.5, "2", True, 10**6)
        ),
        (
            lambda value: lockstep.task_type("sample.work", rate=value)(HANDLER),
            (1, 60),
            "rate of a task type",
            "a Rate",
        ),
        (
            lambda value: lockstep.batch_handler("sample.work", rate=value)(lambda items: []),
            1,
            "rate of a task",
            "a Rate",
        ),
        *(
            (lambda value: lockstep.Rate(value, 60), value, "Rate.starts", "a whole number from 1 to 10,000")
            for value in (0, -1, 0.5, "1", True, 10**6)
        ),
        *(
            (lambda value: lockstep.Rate(1, value), value, "Rate.seconds", "a number from 1 to 86,400")
            for value in (0, -1, 0.5, "60", NAN, INFINITY, True)
        ),
        *((lambda value: TaskPolicy(isolated=value), value, "isolated", "True or False") for value in (1, "yes", None)),
        *(
            (
                lambda value: TaskPolicy(isolated=True, max_memory_mib=value),
                value,
                "max_memory_mib of a task type",
                "a whole number from 64 to 1,048,576",
            )
            for value in (0, 63, 10**9, 512.5, "512", True)
        ),
        *(
            (lambda value: lockstep.task_type(value)(HANDLER), value, "name of a task type", "a text")
            for value in ("", " ", "a\x00b", "a\nb", 7, None)
        ),
        *(
            (
                lambda value: lockstep.StageSpec("one", max_failed_fraction=value),
                value,
                "max_failed_fraction",
                "a number from 0 to 1",
            )
            for value in (1.5, -0.1, NAN, INFINITY, "0.5", 5)
        ),
        *((lockstep.StageSpec, value, "name of a stage", "a text") for value in ("", "a\x00b", 7)),
        (
            lambda value: lockstep.StageSpec("one", dispatch_protocol=value),
            "atomc",
            "dispatch_protocol",
            "'two_phase' or 'atomic'",
        ),
        *(
            (lambda value: lockstep.StageSpec("one", message_per=value), value, "message_per", "'task' or 'batch'")
            for value in ("batches", "", 100)
        ),
    ],
)
def test_a_declared_value_that_cannot_work_is_refused_with_what_would(
    declare: Callable[[Any], object], value: Any, what: str, right: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declare(value)
    assert what in str(caught.value)
    assert repr(value) in str(caught.value)
    assert right in str(caught.value)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Backoff(0, 1, 0),
        lambda: Backoff(2_592_000, 100, 2_592_000),
        lambda: TaskPolicy(1),
        lambda: TaskPolicy(1_000, lane=lockstep.Lane.LONG),
        lambda: TaskPolicy(timeout_seconds=0.1, isolated=True, max_memory_mib=64),
        lambda: TaskPolicy(timeout_seconds=2_592_000, isolated=True, max_memory_mib=1_048_576),
        lambda: lockstep.task_type("sample.work", max_running=1, rate=lockstep.Rate(1, 1))(HANDLER),
        lambda: lockstep.task_type("sample.work", max_running=100_000, rate=lockstep.Rate(10_000, 86_400))(HANDLER),
        lambda: lockstep.StageSpec("ünï cödé", 0),
        lambda: lockstep.StageSpec("one", 1, lockstep.DispatchProtocol.ATOMIC),
        lambda: lockstep.StageSpec("one", message_per=lockstep.MessagePer.BATCH),
        lambda: lockstep.StageSpec("one", message_per="batch"),  # type: ignore[arg-type]
    ],
)
def test_the_ends_of_a_range_belong_to_it(declare: Callable[[], object]) -> None:
    declare()


def test_a_memory_limit_without_a_process_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="add isolated=True"):
        TaskPolicy(max_memory_mib=512)


@pytest.mark.parametrize("place", [{}, {"__module__": "__main__", "__qualname__": "Sample"}])
def test_a_class_with_isolated_tasks_that_a_child_process_cannot_import_is_refused(place: dict[str, str]) -> None:
    isolated = lockstep.task_type("sample.work", isolated=True)(HANDLER)

    class Sample(lockstep.JobController[lockstep.JobParameters]):
        job_type = "sample"
        stages = (lockstep.StageSpec("only"),)
        task_types = (isolated,)

        def create_stage_tasks(
            self, job: lockstep.JobContext[lockstep.JobParameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            return ()

    for name, value in place.items():
        setattr(Sample, name, value)
    with pytest.raises(ConfigurationError, match=r"isolated task type 'sample\.work'.* top level of a module"):
        Registry([Sample])


@pytest.mark.parametrize("attempt", [1, 61, 10**9])
def test_the_largest_backoff_can_be_computed(attempt: int) -> None:
    assert Backoff(2_592_000, 100, 2_592_000).delay_seconds(attempt, 1.0) == 2_592_000


@pytest.mark.parametrize(
    ("attribute", "value", "right"),
    [
        *(("aligned_threshold", value, "a whole number from 0 to 100,000") for value in (-1, 10**9, 1.5, "5", None)),
        *(("job_type", value, "a text") for value in ("", 7, "a\x00b")),
        ("job_type", "a/b", "without '/'"),
        ("dispatch_protocol", "atomc", "'two_phase' or 'atomic'"),
        ("when_exclusive", "queue", "'wait' or 'refuse'"),
        ("stages", ("one",), "a StageSpec"),
        ("task_types", ("a.b",), "a task type"),
    ],
)
def test_a_job_type_whose_declarations_cannot_work_is_refused_with_what_would(
    attribute: str, value: Any, right: str
) -> None:
    given = {
        "job_type": "sample",
        "stages": (lockstep.StageSpec("only"),),
        "task_types": (),
        "Parameters": lockstep.JobParameters,
        "create_stage_tasks": lambda *_: (),
        attribute: value,
    }
    with pytest.raises(ConfigurationError) as caught:
        Registry([type("Wrong", (lockstep.JobController,), given)])
    assert "Wrong" in str(caught.value)
    assert attribute in str(caught.value)
    assert right in str(caught.value)
