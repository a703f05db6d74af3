"""Runs the lines of a benchmark with as many tasks, and as often, as its time allows; or not at all."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from benchmarks.measure import Measured, Row
from benchmarks.rounds import Benchmark, rows_of, run_round
from benchmarks.shares import Share

_MORE = 1.5
"""How many times the least tasks must fit, so that the first round, which has the least, is thrown away."""

_ROUNDED = 100
"""Tasks of a whole batch."""

_PREPARED = 2
"""A line's tasks take at most so many times what it measures: they are written, or sent, before its time begins."""


class TooLittleTimeError(Exception):
    """The rounds that a table needs do not fit into its time."""


class Cost(NamedTuple):
    """What a round takes: seconds beside its tasks, and for each task of a run."""

    fixed: float
    of_task: float


def run_within(name: str, benchmark: Benchmark, share: Share, clock: Callable[[], float] = time.monotonic) -> list[Row]:
    """Runs a first round with the least tasks; then, if more tasks fit, all rounds with those.

    Args:
        name: its name.
        benchmark: the benchmark.
        share: its time, with the start of its servers. A round that has begun is not cut off.
        clock: a monotonic clock, in seconds.

    Raises:
        TooLittleTimeError: there was no time for the rounds that it needs.
    """
    least, began = benchmark.least, clock()
    with benchmark.lines() as lines:
        round_began = clock()
        rounds: list[Mapping[str, Measured]] = [run_round(lines, least.tasks, 0)]
        longest = clock() - round_began
        cost = round_cost(least.tasks, longest, rounds[0].values())
        tasks, repeats = fitting(cost, began + share.seconds - clock(), benchmark)
        if tasks < _MORE * least.tasks:
            tasks, repeats = least.tasks, benchmark.repeats
        else:
            rounds, longest = [], cost.fixed + tasks * cost.of_task
        while len(rounds) < repeats:
            ends = share.most_seconds if len(rounds) < least.rounds else share.seconds
            if clock() + longest > began + ends:
                break
            round_began = clock()
            rounds.append(run_round(lines, tasks, len(rounds)))
            longest = max(longest, clock() - round_began)
    if len(rounds) < least.rounds:
        raise TooLittleTimeError(
            f"{least.rounds} rounds of {tasks:,} tasks take about {longest * least.rounds:,.0f} s, "
            f"and {share.most_seconds:,.0f} s were left"
        )
    return rows_of(name, benchmark, tasks, rounds)


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

    Fewer rounds, but no less than the table needs, if the runs would have less than half of their tasks otherwise. The
    tasks are a multiple of 100, for whole batches, unless `benchmark.tasks` is smaller.
    """
    tasks = _fitting_tasks(cost, seconds_left / benchmark.repeats, benchmark)
    rounds = min(benchmark.least.rounds, benchmark.repeats)
    if 2 * tasks >= benchmark.tasks or benchmark.repeats == rounds:
        return tasks, benchmark.repeats
    return _fitting_tasks(cost, seconds_left / rounds, benchmark), rounds


def _fitting_tasks(cost: Cost, seconds: float, benchmark: Benchmark) -> int:
    tasks = int(max(seconds - cost.fixed, 0.0) / cost.of_task)
    return min(benchmark.tasks, tasks // _ROUNDED * _ROUNDED)
