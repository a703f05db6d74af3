"""Runs the lines of a benchmark interleaved, round by round, as often as asked or as its time allows."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from benchmarks.measure import Measured, Row, rows

Line = Callable[[int], Measured]
"""Runs a line once with that many tasks."""

Lines = Mapping[str, Line]

_PROBE_FRACTION = 10
"""The first round of a run with a time limit has a tenth of the tasks. It warms up, and tells how long a round is."""

_LEAST_TASKS = 100

_LEAST_ROUNDS = 3
"""Of a table whose tasks do not fit into the time otherwise: each round pays what runs cost beside their tasks."""

_PREPARED = 2
"""A line's tasks take at most so many times what it measures: they are written, or sent, before its time begins."""


@dataclass(frozen=True)
class Benchmark:
    """A table of lines that do the same tasks.

    Attributes:
        lines: starts the servers for a block, and gives the lines. Its docstring says what the table compares.
        reference: the line that the others are compared with.
        tasks: of each run, unless the command line says otherwise; the most of a run with a time limit.
        repeats: runs of each line.
        references: lines that are compared with another line than `reference`.
        notes: what is printed below the table, by line.
        unit: `tasks/s`, or `ms` for a table of latencies.
        weight: its share of the time of all tables.
    """

    lines: Callable[[], AbstractContextManager[Lines]]
    reference: str
    tasks: int = 10_000
    repeats: int = 5
    references: Mapping[str, str] = field(default_factory=dict)
    notes: Callable[[], Mapping[str, str]] = dict
    unit: str = "tasks/s"
    weight: float = 1.0


class Cost(NamedTuple):
    """What a round takes: seconds beside its tasks, and for each task of a run."""

    fixed: float
    of_task: float


def with_lines(benchmark: Benchmark, names: Collection[str]) -> Benchmark:
    """Returns a benchmark with some of its lines and their references; a run raises ValueError for unknown ones."""
    wanted = {*names, *(benchmark.references.get(name, benchmark.reference) for name in names)}

    @contextmanager
    def chosen() -> Iterator[Lines]:
        with benchmark.lines() as lines:
            if unknown := sorted(wanted - lines.keys()):
                raise ValueError(f"there is no line {', '.join(unknown)}; the lines are {', '.join(lines)}")
            yield {name: line for name, line in lines.items() if name in wanted}

    return replace(benchmark, lines=chosen)


def run(name: str, benchmark: Benchmark, tasks: int, repeats: int) -> list[Row]:
    """Runs every line `repeats` times."""
    with benchmark.lines() as lines:
        return _rows(name, benchmark, tasks, [_round(lines, tasks, number) for number in range(repeats)])


def run_within(
    name: str, benchmark: Benchmark, seconds: float, clock: Callable[[], float] = time.monotonic
) -> list[Row]:
    """Runs every line at least once, and as often as `repeats` if the time allows, with as many tasks as it allows.

    Args:
        name: its name.
        benchmark: the benchmark.
        seconds: from the start of the servers on. A round that has begun is not cut off; without time for a second
            one, the probe is the result.
        clock: a monotonic clock, in seconds.
    """
    until = clock() + seconds
    with benchmark.lines() as lines:
        probe_tasks = min(benchmark.tasks, max(_LEAST_TASKS, benchmark.tasks // _PROBE_FRACTION))
        began = clock()
        probe = _round(lines, probe_tasks, 0)
        probe_seconds = clock() - began
        cost = round_cost(probe_tasks, probe_seconds, probe.values())
        tasks, repeats = fitting(cost, until - clock(), benchmark)
        if clock() + probe_seconds > until:
            return _rows(name, benchmark, probe_tasks, [probe])
        rounds: list[Mapping[str, Measured]] = []
        longest = 0.0
        while len(rounds) < repeats and (not rounds or clock() + longest <= until):
            began = clock()
            rounds.append(_round(lines, tasks, len(rounds)))
            longest = max(longest, clock() - began)
    return _rows(name, benchmark, tasks, rounds)


def round_cost(tasks: int, seconds: float, measured: Iterable[Measured]) -> Cost:
    """Splits the time of a round by what its lines have measured; errs on the safe side, for the tasks.

    Args:
        tasks: of each run.
        seconds: of the round.
        measured: its runs.
    """
    of_tasks = min(_PREPARED * sum(each["seconds"] for each in measured), seconds)
    return Cost(seconds - of_tasks, max(of_tasks, 1e-9) / tasks)


def fitting(cost: Cost, seconds_left: float, benchmark: Benchmark) -> tuple[int, int]:
    """Returns how many tasks a run may have, and how many rounds fit into the time that is left.

    Fewer rounds if the runs would have less than half of their tasks otherwise. The tasks are a multiple of 100, for
    whole batches, unless `benchmark.tasks` is smaller.
    """
    tasks = _fitting_tasks(cost, seconds_left / benchmark.repeats, benchmark)
    if 2 * tasks >= benchmark.tasks or benchmark.repeats <= _LEAST_ROUNDS:
        return tasks, benchmark.repeats
    return _fitting_tasks(cost, seconds_left / _LEAST_ROUNDS, benchmark), _LEAST_ROUNDS


def _fitting_tasks(cost: Cost, seconds: float, benchmark: Benchmark) -> int:
    tasks = int(max(seconds - cost.fixed, 0.0) / cost.of_task)
    return min(benchmark.tasks, max(_LEAST_TASKS, tasks // _LEAST_TASKS * _LEAST_TASKS))


def _round(lines: Lines, tasks: int, number: int) -> dict[str, Measured]:
    """Runs every line once. Every second round runs them backwards, so that none always follows the same one."""
    names = list(lines)[:: -1 if number % 2 else 1]
    measured = {name: lines[name](tasks) for name in names}
    return {name: measured[name] for name in lines}


def _rows(name: str, benchmark: Benchmark, tasks: int, rounds: list[Mapping[str, Measured]]) -> list[Row]:
    runs = {line: [each[line] for each in rounds] for line in rounds[0]}
    references = {line: benchmark.references.get(line, benchmark.reference) for line in runs}
    return rows(name, tasks, runs, references)
