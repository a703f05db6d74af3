from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from benchmarks.measure import Measured
from benchmarks.rounds import Benchmark, Cost, Lines, fitting, round_cost, run, run_within, with_lines


@dataclass
class Bench:
    """Two lines on a clock that only they move: each takes a fixed time, and some for each task."""

    seconds_of_run: float = 1.0
    seconds_of_task: float = 0.0
    now: float = 0.0
    runs: list[tuple[str, int]] = field(default_factory=list)

    def benchmark(self, tasks: int = 10_000, repeats: int = 5) -> Benchmark:
        @contextmanager
        def lines() -> Iterator[Lines]:
            yield {name: partial(self._run, name) for name in ("one", "other")}

        return Benchmark(lines, reference="one", tasks=tasks, repeats=repeats)

    def _run(self, name: str, tasks: int) -> Measured:
        self.runs.append((name, tasks))
        seconds = self.seconds_of_run + tasks * self.seconds_of_task
        self.now += seconds
        return Measured(seconds=seconds, peak_rss_mib=None)

    @property
    def clock(self) -> Callable[[], float]:
        return lambda: self.now


def test_the_lines_run_interleaved_and_every_second_round_backwards() -> None:
    bench = Bench()

    rows = run("name", bench.benchmark(), tasks=100, repeats=3)

    assert [name for name, _ in bench.runs] == ["one", "other", "other", "one", "one", "other"]
    assert [(row["line"], row["runs"]) for row in rows] == [("one", 3), ("other", 3)]


def test_chosen_lines_run_with_their_reference_alone() -> None:
    bench = Bench()
    assert [row["line"] for row in run("name", with_lines(bench.benchmark(), ["one"]), tasks=1, repeats=1)] == ["one"]
    rows = run("name", with_lines(bench.benchmark(), ["other"]), tasks=1, repeats=1)
    assert [row["line"] for row in rows] == ["one", "other"]
    with pytest.raises(ValueError, match="there is no line third; the lines are one, other"):
        run("name", with_lines(bench.benchmark(), ["third"]), tasks=1, repeats=1)


def test_with_enough_time_a_run_has_all_tasks_and_all_rounds_after_a_probe_of_a_tenth() -> None:
    bench = Bench()

    rows = run_within("name", bench.benchmark(repeats=2), seconds=1_000, clock=bench.clock)

    assert [tasks for _, tasks in bench.runs] == [1_000, 1_000, 10_000, 10_000, 10_000, 10_000]
    assert [row["tasks"] for row in rows] == [10_000, 10_000]


def test_with_less_time_a_run_has_fewer_tasks_and_ends_in_time() -> None:
    bench = Bench(seconds_of_run=0.1, seconds_of_task=0.01)

    rows = run_within("name", bench.benchmark(), seconds=100, clock=bench.clock)

    assert bench.now <= 100
    assert rows[0]["runs"] == 3
    assert 1_000 <= rows[0]["tasks"] < 1_500
    assert rows[0]["tasks"] % 100 == 0


def test_with_hardly_any_time_each_line_still_runs_once() -> None:
    bench = Bench(seconds_of_run=10)

    rows = run_within("name", bench.benchmark(), seconds=1, clock=bench.clock)

    assert [(row["line"], row["tasks"], row["runs"]) for row in rows] == [("one", 1_000, 1), ("other", 1_000, 1)]
    assert len(bench.runs) == 2


def test_no_round_begins_that_would_outlast_the_time() -> None:
    bench = Bench(seconds_of_run=10)

    # A probe of 20 s, and then rounds of 20 s: two end after 60 s, a third would after 80 s.
    rows = run_within("name", bench.benchmark(tasks=100), seconds=70, clock=bench.clock)

    assert (rows[0]["runs"], bench.now) == (2, 60)


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
        (Cost(5, 0.001), 1, (100, 3)),
        (Cost(0, 0.001), -1, (100, 3)),
    ],
)
def test_a_round_has_as_many_tasks_as_fit_beside_its_other_costs(
    cost: Cost, seconds_left: float, fits: tuple[int, int]
) -> None:
    assert fitting(cost, seconds_left, Bench().benchmark()) == fits


def test_a_benchmark_of_few_tasks_is_not_given_more() -> None:
    assert fitting(Cost(0, 1.0), 1_000, Bench().benchmark(tasks=1)) == (1, 5)
