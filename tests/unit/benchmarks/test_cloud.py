import pytest

from benchmarks import cloud, cloud_lines, growth, latency
from benchmarks.cloud import bound_seconds, tasks_of
from benchmarks.rounds import Benchmark
from controllers.base import DispatchProtocol
from core.lanes import TASKS_QUEUE
from core.models import StageKey
from engine.process.limits import Limits
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.fakes.queue import FakeQueue


@pytest.mark.parametrize(
    ("tasks", "transactions", "in_flight", "seconds"),
    [
        (10_000, 1, 1, 25),  # the design note's figure for 10,000 tasks
        (100_000, 1, 10, 25),
        (100_000, 2, 10, 30),
        (1_100, 2, 10, 0.6),  # an eleventh batch takes a round of its own
        (100, 2, 16, 0.3),
    ],
)
def test_the_bound_of_a_dispatch_is_the_waits_of_its_rounds(
    tasks: int, transactions: int, in_flight: int, seconds: float
) -> None:
    assert bound_seconds(tasks, transactions, in_flight) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("line", "tasks"),
    [
        ("note_waits", 10_000),
        ("two_phase_1_waits", 10_000),
        ("bound_atomic_4", 40_000),
        ("envelopes_10_waits", 100_000),
        ("two_phase_16_waits", 100_000),
        ("two_phase_10_credits", 10_000),
    ],
)
def test_a_line_with_more_in_flight_runs_more_tasks_in_about_the_same_time(line: str, tasks: int) -> None:
    assert tasks_of(line, 10_000) == tasks


@pytest.mark.parametrize("benchmark", [cloud.BENCHMARK, growth.BENCHMARK, latency.BENCHMARK])
def test_every_reference_of_a_table_is_a_line_of_it(benchmark: Benchmark) -> None:
    lines = set(benchmark.references)

    assert set(benchmark.references.values()) <= lines
    assert benchmark.reference in lines


def test_a_line_dispatches_all_of_its_tasks_though_none_of_them_ends() -> None:
    tasks = Limits().dispatch_ahead + 200
    database, queue = FakeDatabase(FakeClock()), FakeQueue()
    with database.transaction() as work:
        work.jobs.create("1" * 32, "hello_world", "{}", 1)
        work.stages.create(StageKey("1" * 32, 1), "greetings", 0.0)

    cloud_lines.dispatch(database, queue, DispatchProtocol.TWO_PHASE, 4, tasks)
    assert queue.size(TASKS_QUEUE) == tasks
