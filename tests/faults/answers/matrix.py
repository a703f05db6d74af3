"""The matrix: every call, in a scenario that makes it, with every answer; worlds side by side."""

import gc
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

from tests.faults.answers.plan import Case
from tests.faults.answers.scenarios import SCENARIOS
from tests.faults.answers.trials import Outcome, Recording, Trial
from tests.faults.answers.world import AnsweringWorld
from tests.faults.crash.broken_stories import UnplayedError

_TRIES = 3
_WORLDS = 6
"""Far more than cores: most of a trial is waiting."""


class Matrix:
    """Runs cases in worlds that it opens."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self._recordings: list[Recording] = []

    @classmethod
    @contextmanager
    def open(cls, server_url: str) -> Iterator["Matrix"]:
        """A matrix on a PostgreSQL server, `postgresql://...` without a database."""
        context = get_context("forkserver")  # as in the matrix of crash points
        context.set_forkserver_preload([__name__])
        with ProcessPoolExecutor(_WORLDS, context, _open_world, (server_url, context.Lock())) as pool:
            yield cls(pool)

    def recordings(self) -> list[Recording]:
        """All scenarios, recorded once."""
        if not self._recordings:
            futures = [self._pool.submit(record, name) for name in SCENARIOS]
            self._recordings = [future.result() for future in futures]
        return self._recordings

    def start(self, cases: Iterable[Case]) -> dict[Case, Future[Outcome]]:
        """Starts cases."""
        return {case: self._pool.submit(disturb, case) for case in cases}


def record(scenario: str) -> Recording:
    """Records a scenario, in this process's world."""
    return Trial(_worlds[0], *SCENARIOS[scenario]).record()


def disturb(case: Case) -> Outcome:
    """Runs one case in this process's world; an error of the trial itself is a violation, too.

    A trial that does not make the call, because its threads ran in another order, is tried again. So is one in which
    something takes too long, or whose story broke off, because a call before the struck one exceeded its scaled limit,
    as on a busy machine.
    """
    outcome, played_again = Outcome(struck=False, violations=()), 0
    for _ in range(_TRIES):
        played_again += bool(outcome.late)
        try:
            outcome = Trial(_worlds[0], *SCENARIOS[case.scenario], case.strike).disturb(case.spent)
        except UnplayedError as exc:
            outcome = Outcome(struck=False, violations=(), late=(str(exc),))
        except Exception as exc:  # noqa: BLE001 - the other cases must run
            outcome = Outcome(struck=False, violations=(f"{type(exc).__name__}: {exc}",))
        if outcome.violations or (outcome.struck and not outcome.late):
            break
    return replace(outcome, played_again=played_again)


_worlds: list[AnsweringWorld] = []


def _open_world(server_url: str, turn: AbstractContextManager[Any]) -> None:
    with turn:  # one emulator after the other: started together they would exceed their time limit
        _worlds.append(AnsweringWorld(server_url, f"answers_{os.getpid()}"))
    gc.freeze()  # keeps forked processes from copying most of the memory
