"""Lines whose runs take as long as a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from benchmarks.measure import Measured
from benchmarks.rounds import Benchmark, Least, Lines

LEAST = Least(1_000, 3)


@dataclass
class Bench:
    """Two lines on a clock that only they move: each takes a fixed time, and some for each task."""

    seconds_of_run: float = 1.0
    seconds_of_task: float = 0.0
    now: float = 0.0
    runs: list[tuple[str, int]] = field(default_factory=list)

    def benchmark(self, tasks: int = 10_000, repeats: int = 5, least: Least = LEAST) -> Benchmark:
        @contextmanager
        def lines() -> Iterator[Lines]:
            yield {name: partial(self._run, name) for name in ("one", "other")}

        return Benchmark(lines, reference="one", tasks=tasks, repeats=repeats, least=least)

    def _run(self, name: str, tasks: int) -> Measured:
        self.runs.append((name, tasks))
        seconds = self.seconds_of_run + tasks * self.seconds_of_task
        self.now += seconds
        return Measured(seconds=seconds, peak_rss_mib=None)

    @property
    def clock(self) -> Callable[[], float]:
        return lambda: self.now
