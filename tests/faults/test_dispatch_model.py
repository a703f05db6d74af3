"""A dispatch by the two-phase protocol in every interleaving with another dispatcher, a sweeper, workers and faults."""

import pytest

from tests.faults import figures
from tests.faults.model.checker import NO_WAY_TO_A_GOOD_END, check
from tests.faults.model.dispatch import Dispatch
from tests.faults.model.dispatch_state import Faults, Size
from tests.faults.sizes import size

pytestmark = [pytest.mark.computes, pytest.mark.timeout(size(1_200, 3_600))]

_REFUSALS = Size((1,), faults=Faults(losses=1, pauses=1, refusals=2))

_SIZES = {
    "a dispatcher that is held up": size(
        Size((1,), faults=Faults(crashes=1, pauses=1)),
        Size((1, 1), faults=Faults(crashes=1, pauses=1)),
    ),
    "a broker that refuses a batch": size(
        Size((1, 1), faults=Faults(crashes=1, refusals=1)),
        _REFUSALS,
    ),
    "a broker that loses messages": size(
        Size((2,), faults=Faults(crashes=1, losses=1)),
        Size((1,), faults=Faults(crashes=1, losses=1, pauses=1, refusals=1)),
    ),
    "a batch in an envelope": size(
        Size((2,), enveloped=True, faults=Faults(crashes=1, pauses=1)),
        Size((2,), enveloped=True, faults=Faults(crashes=1, losses=1, pauses=1, cancellations=1)),
    ),
    "a task that fails": size(
        Size((1, 1), faults=Faults(crashes=1, failures=1)),
        Size((1, 1), faults=Faults(pauses=1, failures=1)),
    ),
    "a stage that waits for room": size(
        Size((1, 1, 1), dispatchers=1, faults=Faults(losses=1), ahead=2),
        Size((1, 1), faults=Faults(crashes=1, losses=1, pauses=1), ahead=1),
    ),
    "a stage that waits for room and a job that is cancelled": size(
        Size((1, 1), dispatchers=1, faults=Faults(crashes=1, cancellations=1), ahead=1),
        Size((1, 1), faults=Faults(crashes=1, refusals=1, failures=1, cancellations=1), ahead=1),
    ),
    "a job that is cancelled": size(
        Size((1, 1), faults=Faults(crashes=1, cancellations=1)),
        Size((1, 1), faults=Faults(crashes=1, pauses=1, cancellations=1)),
    ),
}


@pytest.mark.parametrize("name", _SIZES)
def test_no_interleaving_breaks_a_promise(name: str) -> None:
    verdict = check(Dispatch(_SIZES[name]).model())
    assert verdict.violation is None, str(verdict.violation)
    figures.record(f"model of the dispatch: {name}", states=verdict.states, steps=verdict.steps)


_PAUSED = Size((1,), faults=Faults(pauses=1))
_CANCELLED = Size((1,), faults=Faults(cancellations=1))
_LOSSES = Size((1,), faults=Faults(crashes=1, losses=1))
_FULL = Size((1, 1), dispatchers=1, faults=Faults(losses=1), ahead=1)


@pytest.mark.parametrize(
    ("without", "instance", "broken", "last_action"),
    [
        ("holder of a dispatch lease", _PAUSED, "only its holder touches a live dispatch lease", "begin_dispatch"),
        ("lease of a dispatch that ends", _PAUSED, "only its holder touches a live dispatch lease", "finish_dispatch"),
        ("status of a task that is marked", _PAUSED, "only its holder ends an attempt", "mark_queued"),
        ("status of a batch that is marked", _PAUSED, "a batch ends with its last task", "mark_queued"),
        ("lease of a new batch", _CANCELLED, "nothing is added to a stage that has ended", "create"),
        ("lease of a new batch", _PAUSED, "a dispatcher has read every earlier batch", "create"),
        ("sweep_dispatch", _LOSSES, NO_WAY_TO_A_GOOD_END, "lose_dispatch"),
        ("room of a new batch", _FULL, "no more tasks are out than may be", "create"),
        ("sweep_room", _FULL, NO_WAY_TO_A_GOOD_END, "lose_dispatch"),
        ("sweep_silence of a stage that waits", _FULL, NO_WAY_TO_A_GOOD_END, "lose"),
    ],
)
def test_a_missing_guard_or_sweep_is_found(without: str, instance: Size, broken: str, last_action: str) -> None:
    assert check(Dispatch(instance).model()).violation is None
    violation = check(Dispatch(instance, without=[without]).model()).violation
    assert violation is not None
    assert (violation.broken, violation.actions[-1].name) == (broken, last_action)


def test_a_repeated_dispatch_repairs_what_the_sweep_of_pending_batches_repairs() -> None:
    assert check(Dispatch(_REFUSALS, without=["sweep_batch"]).model()).violation is None


def test_a_dispatch_that_does_not_look_again_before_it_waits_is_never_told_of_room() -> None:
    undisturbed = Size((1, 1), dispatchers=1, ahead=1)
    assert check(Dispatch(undisturbed, without=["sweep_room"]).model()).violation is None
    violation = check(Dispatch(undisturbed, without=["sweep_room", "second look at the room"]).model()).violation
    assert violation is not None
    assert violation.broken == NO_WAY_TO_A_GOOD_END
