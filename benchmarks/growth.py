"""The growth benchmark: what a task costs, and how much memory a process takes, against the number of tasks.

Each line runs a hundredth, a tenth or all of the tasks: the dispatch of a stage, and its drain on the local stack by
one worker process, with a message per task and with envelopes; and the aggregation of its results, in one piece and
folded. Each is compared with its hundredth.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks import aggregation, dispatch, drain
from benchmarks.measure import Measured, run_line
from benchmarks.rounds import Benchmark, Least, Line, Lines
from benchmarks.servers import Databases, postgres_server
from engine.process.limits import Limits

_N = Limits().dispatch_parallel
_FRACTIONS = {"hundredth": 100, "tenth": 10, "all": 1}
_PARTS = ("dispatch", "drain", "envelopes_dispatch", "envelopes_drain", *aggregation.LINES)


@contextmanager
def _lines() -> Iterator[Lines]:
    """Measure the cost of a task and the memory of a process against the number of tasks."""
    with postgres_server() as databases:
        runs: dict[str, Line] = {
            "dispatch": partial(dispatch.run_line_on, databases, f"two_phase_{_N}"),
            "drain": partial(drain.run_stack, databases, 1),
            "envelopes_dispatch": partial(dispatch.run_line_on, databases, f"envelopes_two_phase_{_N}"),
            "envelopes_drain": partial(drain.run_stack, databases, 1, enveloped=True),
            **{line: partial(_aggregate, databases, line) for line in aggregation.LINES},
        }
        yield {
            f"{part}_{name}": partial(_fraction, runs[part], divisor)
            for name, divisor in _FRACTIONS.items()
            for part in _PARTS
        }


def _aggregate(databases: Databases, line: str, tasks: int) -> Measured:
    with databases.migrated() as url:
        return run_line("benchmarks.aggregation", {"line": line, "tasks": str(tasks), "database_url": url})


def _fraction(run: Line, divisor: int, tasks: int) -> Measured:
    part = max(tasks // divisor, 100)
    return {**run(part), "tasks": part}


BENCHMARK = Benchmark(
    _lines,
    reference="dispatch_hundredth",
    tasks=100_000,
    repeats=3,
    least=Least(100_000, 1, 170),
    weight=2.0,
    references={f"{part}_{name}": f"{part}_hundredth" for part in _PARTS for name in _FRACTIONS},
)
