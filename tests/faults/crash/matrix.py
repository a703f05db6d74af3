"""The matrix: every point, in a scenario that passes it, for every size, once and twice; worlds side by side."""

import gc
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

from tests.faults.crash.broken_stories import UnplayedError
from tests.faults.crash.points import Passing, Point
from tests.faults.crash.scenarios import SCENARIOS
from tests.faults.crash.trials import Outcome, Trial
from tests.faults.crash.world import World
from tests.support.pooler import pooled

SIZES = (1, 99, 100, 101, 1_000)
_TRIES = 8
_MOST_PLAYED_AGAIN = 2
_WORLDS = 4
"""More than cores: processes come up, end, and answer each other."""


@dataclass(frozen=True)
class Recording:
    """The points that an undisturbed scenario passes, in order, its duration, and its number of processes.

    Which points it passes may depend on the order of its threads. `own_trials` is the scenario's.
    """

    scenario: str
    passings: Sequence[Passing]
    seconds: float
    lives: int
    depends_on_threads: bool
    own_trials: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Case:
    """A scenario and the kills in it.

    Attributes:
        scenario: its name.
        points: where the process is killed, and then its successor.
        passing: which passing of the first point is the first kill's.
        covers: other points at the same instant.
        seconds: how long the scenario takes undisturbed.
    """

    scenario: str
    points: tuple[Point, ...]
    passing: int
    covers: tuple[Point, ...]
    seconds: float


class Matrix:
    """Runs cases in worlds that it opens."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self._recordings: dict[int, list[Recording]] = {}

    @classmethod
    @contextmanager
    def open(cls, server_url: str) -> Iterator["Matrix"]:
        """A matrix on a PostgreSQL server, `postgresql://...` without a database."""
        # A world forks its processes, so its own process must have no threads. This process may have some, so worlds
        # are forked from a server that has only imported modules.
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        with (
            pooled(server_url) as app_url,
            ProcessPoolExecutor(_WORLDS, context, _open_world, (server_url, app_url, context.Lock())) as pool,
        ):
            yield cls(pool)

    def recordings(self, size: int) -> list[Recording]:
        """All scenarios, recorded once."""
        if size not in self._recordings:
            futures = [self._pool.submit(record, each.name, size) for each in SCENARIOS]
            self._recordings[size] = [future.result() for future in futures]
        return self._recordings[size]

    def run(self, cases: Iterable[Case], size: int) -> dict[Case, Outcome]:
        """Runs cases, the longest first."""
        longest_first = sorted(cases, key=lambda case: -case.seconds)
        futures = {case: self._pool.submit(kill, case, size) for case in longest_first}
        return {case: future.result() for case, future in futures.items()}


def record(scenario: str, size: int) -> Recording:
    """Records a scenario, in this process's world."""
    began = time.monotonic()
    trial = _trial(scenario, size)
    passings = trial.record()
    seconds = time.monotonic() - began
    told = trial.scenario
    return Recording(scenario, passings, seconds, trial.lives, told.depends_on_threads, told.own_trials)


def kill(case: Case, size: int) -> Outcome:
    """Runs one case in this process's world; an error of the trial itself is a violation, too.

    A trial that does not reach the point, because its threads ran in another order, is tried again. So is, twice at
    most, one whose story broke off before the kill, because a call exceeded its limit on a busy machine.
    """
    outcome, played_again = Outcome(0, (), 0.0, 0), 0
    for _ in range(_TRIES):
        try:
            outcome = _trial(case.scenario, size).kill(case.points, case.passing)
        except Exception as exc:  # noqa: BLE001 - the other cases must run
            if isinstance(exc, UnplayedError) and played_again < _MOST_PLAYED_AGAIN:
                played_again += 1
                continue
            outcome = Outcome(0, (f"{type(exc).__name__}: {exc}",), 0.0, 0)
        if outcome.kills or outcome.violations:
            break
    return replace(outcome, played_again=played_again)


def _trial(name: str, size: int) -> Trial:
    [scenario] = [each for each in SCENARIOS if each.name == name]
    return Trial(_worlds[0], scenario, size)


_worlds: list[World] = []


def _open_world(server_url: str, app_url: str, turn: AbstractContextManager[Any]) -> None:
    with turn:  # one emulator after the other: started together they would exceed their time limit
        _worlds.append(World(server_url, f"crash_{os.getpid()}", app_url=app_url))
    gc.freeze()  # keeps forked processes from copying most of the memory
