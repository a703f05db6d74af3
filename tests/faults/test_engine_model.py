"""Whatever happens to the engine, in whatever order: every job ends, once, and as it should.

Hypothesis draws runs of 50 steps: jobs are submitted; messages are delivered in any order, several times, or
lost; processes die, fail or stop at any commit and any send; PostgreSQL and the broker become unavailable; time
passes. Each run ends in `tests/faults/model/rest.py`. The engine is the real one, over the fakes, which pass the same
contract suite as PostgreSQL and Service Bus.

A run follows from its seed alone. `make test` always takes the same seeds; `make chaos` draws new ones, for ten
times as many runs. A failure is reduced to a small run and names the `LOCKSTEP_SEED` that replays it:

    LOCKSTEP_SEED=17 python -m pytest tests/faults/test_engine_model.py -k first
"""

import logging
import os
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.figures import record
from tests.faults.model.machine import EngineMachine
from tests.faults.model.process import InlineExecutor, OwnTime, OwnTimePerTask
from tests.faults.sizes import LONG, size

pytestmark = pytest.mark.computes

RUNS_PER_TEST = 125
STEPS = 50
FIRST_SEED = int(os.environ.get("LOCKSTEP_SEED") or (secrets.randbelow(2**32) if LONG else 1))
SETTINGS = settings(
    max_examples=RUNS_PER_TEST,
    stateful_step_count=STEPS,
    phases=[Phase.generate, Phase.shrink],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def _one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs the engine's threads one at a time, gives each process its own clock, and logs nothing."""
    monkeypatch.setattr("engine.tasks.handler_threads.ThreadPoolExecutor", InlineExecutor)
    monkeypatch.setattr("engine.stages.batch_threads.ThreadPoolExecutor", InlineExecutor)
    monkeypatch.setattr("engine.process.result_pages.ThreadPoolExecutor", InlineExecutor)
    monkeypatch.setattr("engine.stages.dispatch_slice.time", OwnTimePerTask)
    monkeypatch.setattr("engine.stages.stage_results.time", OwnTimePerTask)
    for module in ("stages.stage_canceller", "tasks.cancellation", "tasks.task_runner", "tasks.worker"):
        monkeypatch.setattr(f"engine.{module}.time", OwnTime)
    monkeypatch.setattr("engine.tasks.worker._TURN_SECONDS", 0.0)
    # Keeps hypothesis from drawing numbers that it finds in imported modules.
    monkeypatch.setattr(f"{HypothesisProvider.__module__}.HypothesisProvider._maybe_draw_constant", _none)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def _none(*_: object, **__: object) -> None:
    return None


@pytest.mark.usefixtures("_one_thread_at_a_time")
@pytest.mark.timeout(3_600)  # to reduce a failure takes long
@pytest.mark.parametrize("number", range(size(8, 80)), ids=lambda number: f"{number}" if number else "first")
def test_whatever_happens_every_job_ends_as_it_should(number: int) -> None:
    chosen = FIRST_SEED + number
    before = EngineMachine.tally.copy()
    try:
        run_state_machine_as_test(seed(chosen)(EngineMachine), settings=SETTINGS)
    except BaseException as exc:
        exc.add_note(f"LOCKSTEP_SEED={chosen} python -m pytest tests/faults/test_engine_model.py -k first")
        raise
    record("engine model", seed=chosen, **(EngineMachine.tally - before))
