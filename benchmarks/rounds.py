"""Runs the lines of a benchmark interleaved, round by round."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from benchmarks.measure import Measured, Row, rows
from benchmarks.shares import Need

Line = Callable[[int], Measured]
"""Runs a line once with that many tasks."""

Lines = Mapping[str, Line]


class Least(NamedTuple):
    """What a table needs to mean something: the tasks of each run, the rounds, and about how long they take.

    `seconds` were measured on two cores; on a slower machine, the first round tells that the time is too short.
    """

    tasks: int = 10_000
    rounds: int = 3
    seconds: float = 60.0


@dataclass(frozen=True)
class Benchmark:
    """A table of lines that do the same tasks.

    Attributes:
        lines: starts the servers for a block, and gives the lines. Its docstring says what the table compares.
        reference: the line that the others are compared with.
        tasks: of each run, unless the command line says otherwise; the most of a run with a time limit.
        least: below it, a table is left out.
        repeats: runs of each line.
        references: lines that are compared with another line than `reference`.
        notes: what is printed below the table, by line.
        unit: `tasks/s`, or `ms` for a table of latencies.
        weight: its share of the time that all tables have beyond their least.
    """

    lines: Callable[[], AbstractContextManager[Lines]]
    reference: str
    tasks: int = 10_000
    repeats: int = 5
    least: Least = field(default_factory=Least)
    references: Mapping[str, str] = field(default_factory=dict)
    notes: Callable[[], Mapping[str, str]] = dict
    unit: str = "tasks/s"
    weight: float = 1.0

    @property
    def need(self) -> Need:
        """Of the time that all tables share."""
        return Need(self.least.seconds, self.weight)


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
        return rows_of(name, benchmark, tasks, [run_round(lines, tasks, number) for number in range(repeats)])


def run_round(lines: Lines, tasks: int, number: int) -> dict[str, Measured]:
    """Runs every line once. Every second round runs them backwards, so that none always follows the same one."""
    names = list(lines)[:: -1 if number % 2 else 1]
    measured = {name: lines[name](tasks) for name in names}
    return {name: measured[name] for name in lines}


def rows_of(name: str, benchmark: Benchmark, tasks: int, rounds: list[Mapping[str, Measured]]) -> list[Row]:
    """Computes the rows of rounds, which have run the same lines."""
    runs = {line: [each[line] for each in rounds] for line in rounds[0]}
    references = {line: benchmark.references.get(line, benchmark.reference) for line in runs}
    return rows(name, tasks, runs, references)
