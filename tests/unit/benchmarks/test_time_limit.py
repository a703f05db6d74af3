"""Runs of a benchmark within its time; the clock moves only while a line runs."""

import pytest

from benchmarks.measure import Measured
from benchmarks.rounds import Least
from benchmarks.shares import Share
from benchmarks.time_limit import Cost, TooLittleTimeError, fitting, round_cost, run_within
from tests.unit.benchmarks.support import Bench


def test_with_enough_time_a_run_has_all_tasks_and_all_rounds_after_a_first_one_of_the_least_tasks() -> None:
    bench = Bench()

    rows = run_within("name", bench.benchmark(repeats=2, least=Least(1_000, 2)), Share(1_000, 1_000), bench.clock)

    assert [tasks for _, tasks in bench.runs] == [1_000, 1_000, 10_000, 10_000, 10_000, 10_000]
    assert [(row["tasks"], row["runs"]) for row in rows] == [(10_000, 2), (10_000, 2)]


def test_with_less_time_a_run_has_fewer_tasks_and_ends_in_time() -> None:
    bench = Bench(seconds_of_run=0.1, seconds_of_task=0.01)

    rows = run_within("name", bench.benchmark(), Share(200, 200), bench.clock)

    assert bench.now <= 200
    assert rows[0]["runs"] == 3
    assert 2_000 <= rows[0]["tasks"] < 3_000
    assert rows[0]["tasks"] % 100 == 0


def test_the_first_round_counts_where_hardly_more_tasks_fit() -> None:
    bench = Bench(seconds_of_run=0, seconds_of_task=0.01)  # 20 s a round

    rows = run_within("name", bench.benchmark(), Share(90, 90), bench.clock)

    assert [(row["tasks"], row["runs"]) for row in rows] == [(1_000, 4), (1_000, 4)]
    assert bench.now == pytest.approx(80)


def test_the_rounds_that_a_table_needs_may_take_what_the_other_tables_leave() -> None:
    bench = Bench(seconds_of_run=0, seconds_of_task=0.01)

    rows = run_within("name", bench.benchmark(), Share(45, 70), bench.clock)

    assert rows[0]["runs"] == 3
    assert bench.now == pytest.approx(60)


def test_a_table_whose_rounds_do_not_fit_has_no_rows() -> None:
    bench = Bench(seconds_of_run=0, seconds_of_task=0.01)

    with pytest.raises(TooLittleTimeError, match="3 rounds of 1,000 tasks take about 60 s, and 50 s were left"):
        run_within("name", bench.benchmark(), Share(45, 50), bench.clock)

    assert bench.now == pytest.approx(40)


def test_a_table_of_one_task_needs_many_rounds() -> None:
    bench = Bench(seconds_of_run=0.5)

    rows = run_within("name", bench.benchmark(1, 100, Least(1, 30)), Share(40.5, 60), bench.clock)

    assert [(row["tasks"], row["runs"]) for row in rows] == [(1, 40), (1, 40)]


@pytest.mark.parametrize(
    ("measured", "cost"),
    [
        ([2.0, 1.0], Cost(4.0, 0.06)),  # of 10 s, twice 3 s for 100 tasks
        ([4.0, 3.0], Cost(0.0, 0.1)),  # no more than the round has taken
    ],
)
def test_the_tasks_of_a_round_cost_at_most_twice_what_is_measured(measured: list[float], cost: Cost) -> None:
    runs = [Measured(seconds=seconds, peak_rss_mib=None) for seconds in measured]

    found = round_cost(100, 10.0, runs)

    assert found == pytest.approx(cost)


@pytest.mark.parametrize(
    ("cost", "seconds_left", "fits"),
    [
        (Cost(0, 0.001), 25, (5_000, 5)),
        (Cost(0, 0.001), 24, (8_000, 3)),  # fewer rounds, because less than half of the tasks would fit
        (Cost(5, 0.001), 60, (7_000, 5)),
        (Cost(5, 0.001), 18, (1_000, 3)),
        (Cost(0, 0.001), 1_000, (10_000, 5)),
        (Cost(5, 0.001), 1, (0, 3)),
        (Cost(0, 0.001), -1, (0, 3)),
    ],
)
def test_a_round_has_as_many_tasks_as_fit_beside_its_other_costs(
    cost: Cost, seconds_left: float, fits: tuple[int, int]
) -> None:
    assert fitting(cost, seconds_left, Bench().benchmark()) == fits
