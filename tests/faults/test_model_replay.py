"""The models agree with the queries: their runs leave the same rows on the fake and on PostgreSQL."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import psycopg2
import pytest

import engine.stages.stage_canceller
from tests.faults import figures
from tests.faults.model.bench import Bench, FakeBench, PostgresBench
from tests.faults.model.checker import Model
from tests.faults.model.dispatch import Dispatch
from tests.faults.model.dispatch_state import Faults as DispatchFaults
from tests.faults.model.dispatch_state import Size as DispatchSize
from tests.faults.model.replay import Replay
from tests.faults.model.rows import Outcome
from tests.faults.model.states import HasRows
from tests.faults.model.work import Work
from tests.faults.model.work_state import Faults, Size
from tests.faults.sizes import size

pytestmark = pytest.mark.timeout(size(1_200, 3_600))

State = TypeVar("State", bound=HasRows)

_MOST_STEPS = 50


@pytest.fixture(params=["fake", "postgres"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    database = request.getfixturevalue("postgres_database")
    with closing(psycopg2.connect(request.getfixturevalue("database_url"))) as conn:
        yield PostgresBench(database, conn)


@pytest.fixture(autouse=True)
def _one_batch_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancels one batch at a time, as the models do."""
    monkeypatch.setattr(engine.stages.stage_canceller, "_BATCHES_PER_STEP", 1)


def _walk(models: Sequence[Model[State]], bench: Bench, walks: int, max_failed_fraction: float = 0.0) -> Counter[str]:
    """Replays random runs and prefers rare actions; returns how often each action was taken."""
    seen: Counter[str] = Counter()
    for seed in range(walks):
        chance = random.Random(seed)
        model = models[seed % len(models)]
        (state,) = model.initial
        replay = Replay(bench, state.rows, max_failed_fraction)
        for _ in range(_MOST_STEPS):
            steps = list(model.steps(state))
            if not steps:
                break
            weights = [1 / (1 + seen[action.name]) for action, _ in steps]
            ((action, after),) = chance.choices(steps, weights)
            replay.step(action, state.rows, after.rows)
            seen[action.name] += 1
            state = after
    return seen


def test_runs_of_workers_leave_the_rows_of_the_model(bench: Bench) -> None:
    faults = Faults(crashes=2, duplicates=2, losses=1, pauses=2)
    outcomes: tuple[Outcome, ...] = ("completed", "failed", "retrying")
    goes_on = Size((1, 1), 2, 2, faults, outcomes, max_failed_fraction=0.5)
    stops = replace(
        goes_on,
        batches=(2, 2),
        faults=faults._replace(job_failures=1, cancellations=1),
        max_attempts=3,
        may_release=True,
    )
    enveloped = replace(stops, enveloped=True, faults=goes_on.faults)
    models = [Work(each).model() for each in (goes_on, stops, enveloped)]
    seen = _walk(models, bench, size(20, 1_000), goes_on.max_failed_fraction)
    expected = {
        *(
            "claim",
            "claim_batch",
            "release",
            "renew",
            "record",
            "expire",
            "come_due",
            "sweep_lease",
            "sweep_retry",
            "advance",
        ),
        *("fail_job", "cancel_job", "cancel_some"),
    }
    assert seen.keys() >= expected
    figures.record("replay of the model of the work", steps=seen.total())


def test_runs_of_dispatchers_leave_the_rows_of_the_model(bench: Bench) -> None:
    faults = DispatchFaults(crashes=2, losses=1, pauses=2, refusals=1)
    goes_on = DispatchSize((1, 1), 2, 2, faults)
    stops = DispatchSize((2, 2), 2, 2, faults._replace(failures=1, cancellations=1))
    waits = DispatchSize((1, 1), 1, 1, DispatchFaults(losses=4), ahead=1)
    enveloped = replace(stops, enveloped=True)
    models = [Dispatch(each).model() for each in (goes_on, stops, waits, enveloped)]
    seen = _walk(models, bench, size(60, 2_000))
    expected = {
        *("begin_dispatch", "create", "send", "mark_queued", "begin_resend", "renew", "stop", "resume_later"),
        *("finish_dispatch", "expire_dispatch", "claim", "record", "cancel_job", "cancel_some"),
        *("find_no_room", "wait_for_room", "sweep_room"),
    }
    assert seen.keys() >= expected
    figures.record("replay of the model of the dispatch", steps=seen.total())
