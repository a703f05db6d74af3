"""The growth benchmark: what a task costs, and how much memory a process takes, against the number of tasks.

Each line runs a hundredth, a tenth or all of the tasks: the dispatch of a stage, and its drain on the local stack by
one worker process. Both are compared with their hundredth.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks import dispatch, drain
from benchmarks.measure import Measured
from benchmarks.rounds import Benchmark, Line, Lines
from benchmarks.servers import postgres_server

_FRACTIONS = {"hundredth": 100, "tenth": 10, "all": 1}
_PARTS = ("dispatch", "drain")


@contextmanager
def _lines() -> Iterator[Lines]:
    """Measure the cost of a task and the memory of a process against the number of tasks."""
    with postgres_server() as databases:
        runs: dict[str, Line] = {
            "dispatch": partial(dispatch.run_line_on, databases, "two_phase_4"),
            "drain": partial(drain.run_stack, databases, 1),
        }
        yield {
            f"{part}_{name}": partial(_fraction, runs[part], divisor)
            for name, divisor in _FRACTIONS.items()
            for part in _PARTS
        }


def _fraction(run: Line, divisor: int, tasks: int) -> Measured:
    part = max(tasks // divisor, 100)
    return {**run(part), "tasks": part}


BENCHMARK = Benchmark(
    _lines,
    reference="dispatch_hundredth",
    tasks=100_000,
    repeats=3,
    references={f"{part}_{name}": f"{part}_hundredth" for part in _PARTS for name in _FRACTIONS},
)
