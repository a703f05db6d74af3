from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from benchmarks.measure import Measured
from benchmarks.rounds import Benchmark, Lines, fitting_tasks, run, run_within


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


def test_with_enough_time_a_run_has_all_tasks_and_all_rounds_after_a_probe_of_a_tenth() -> None:
    bench = Bench()

    rows = run_within("name", bench.benchmark(repeats=2), seconds=1_000, clock=bench.clock)

    assert [tasks for _, tasks in bench.runs] == [1_000, 1_000, 10_000, 10_000, 10_000, 10_000]
    assert [row["tasks"] for row in rows] == [10_000, 10_000]


def test_with_less_time_a_run_has_fewer_tasks_and_ends_in_time() -> None:
    bench = Bench(seconds_of_run=0.1, seconds_of_task=0.01)

    rows = run_within("name", bench.benchmark(), seconds=100, clock=bench.clock)

    assert bench.now <= 100
    assert rows[0]["runs"] == 5
    assert 500 <= rows[0]["tasks"] < 1_000
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
    ("probe_seconds", "seconds_left", "tasks"),
    [(1, 5, 1_000), (1, 12.34, 2_400), (1, 1_000, 10_000), (1, 0.1, 100), (1, -1, 100), (0, 5, 10_000)],
)
def test_the_number_of_tasks_that_fits_is_proportional_to_the_time_of_a_round_within_bounds(
    probe_seconds: float, seconds_left: float, tasks: int
) -> None:
    assert fitting_tasks(1_000, probe_seconds, seconds_left, Bench().benchmark()) == tasks


def test_a_benchmark_of_few_tasks_is_not_given_more() -> None:
    assert fitting_tasks(1, 1.0, 1_000, Bench().benchmark(tasks=1)) == 1
