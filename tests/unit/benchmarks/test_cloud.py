import pytest

from benchmarks import cloud, growth, latency
from benchmarks.cloud import bound_seconds
from benchmarks.rounds import Benchmark


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


@pytest.mark.parametrize("benchmark", [cloud.BENCHMARK, growth.BENCHMARK, latency.BENCHMARK])
def test_every_reference_of_a_table_is_a_line_of_it(benchmark: Benchmark) -> None:
    lines = set(benchmark.references)

    assert set(benchmark.references.values()) <= lines
    assert benchmark.reference in lines
