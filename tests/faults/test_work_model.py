"""Claim, record and advance in every interleaving with crashes, duplicates, losses and pauses."""

import pytest

from tests.faults import figures
from tests.faults.model.checker import NO_WAY_TO_A_GOOD_END, check
from tests.faults.model.rows import Outcome
from tests.faults.model.work import Work
from tests.faults.model.work_state import Faults, Size
from tests.faults.sizes import size

pytestmark = [pytest.mark.computes, pytest.mark.timeout(1_200)]

_ANY: tuple[Outcome, ...] = ("completed", "failed", "retrying")

_SIZES = {
    "two tasks of one batch": size(
        Size((2,), faults=Faults(crashes=1, pauses=1)),
        Size((2,), faults=Faults(crashes=1, duplicates=1, losses=1, pauses=1)),
    ),
    "two batches and duplicates": size(
        Size((1, 1), faults=Faults(crashes=1, duplicates=1)),
        Size((1, 1), faults=Faults(crashes=2, duplicates=1, losses=1)),
    ),
    "two batches and lost messages": size(
        Size((1, 1), faults=Faults(losses=1, pauses=1)),
        Size((1, 1), faults=Faults(crashes=1, losses=1, pauses=1)),
    ),
    "failures and retries": size(
        Size((1,), faults=Faults(1, 1, 1, 1), outcomes=_ANY, max_failed_fraction=0.5),
        Size((1, 1), faults=Faults(crashes=1), outcomes=_ANY, max_failed_fraction=0.5),
    ),
    "failures that are not tolerated": size(
        Size((1, 1), outcomes=("completed", "failed")),
        Size((1, 1), faults=Faults(crashes=1), outcomes=("completed", "failed")),
    ),
    "tasks that are released": size(
        Size((2,), may_release=True),
        Size((2,), faults=Faults(crashes=1, pauses=1), may_release=True),
    ),
    "two handlers of the stage's message": size(
        Size((1,), handlers=2, faults=Faults(crashes=1, duplicates=1, losses=1)),
        Size((1,), handlers=2, faults=Faults(crashes=2, duplicates=2, losses=1, job_failures=1)),
    ),
    "envelopes": size(
        Size((2,), enveloped=True, faults=Faults(crashes=1, pauses=1)),
        Size((2,), enveloped=True, faults=Faults(crashes=1, duplicates=1, losses=1, pauses=1)),
    ),
    "envelopes with retries": size(
        Size((2,), workers=1, enveloped=True, faults=Faults(crashes=1), outcomes=("completed", "retrying")),
        Size((2,), enveloped=True, faults=Faults(crashes=1, losses=1), outcomes=("completed", "retrying")),
    ),
    "a job that fails": size(
        Size((1, 1), faults=Faults(pauses=1, job_failures=1)),
        Size((1, 1), faults=Faults(crashes=1, duplicates=1, job_failures=1)),
    ),
    "a job that is cancelled": size(
        Size((2,), faults=Faults(pauses=1, cancellations=1)),
        Size((1, 1), handlers=2, faults=Faults(crashes=1, pauses=1, cancellations=1)),
    ),
}


@pytest.mark.parametrize("name", _SIZES)
def test_no_interleaving_breaks_a_promise(name: str) -> None:
    verdict = check(Work(_SIZES[name]).model())
    assert verdict.violation is None, str(verdict.violation)
    figures.record(f"model of the work: {name}", states=verdict.states, steps=verdict.steps)


_SMALL = Size((1,), faults=Faults(crashes=1, duplicates=1, pauses=1), may_release=True)
_LOSSES = Size((1,), faults=Faults(crashes=1, losses=1), outcomes=("completed", "retrying"))
_TWO_TASKS = Size((2,), faults=Faults(duplicates=1))
_TWO_HANDLERS = Size((1,), handlers=2, faults=Faults(duplicates=1))
_FAILING = Size((1,), faults=Faults(job_failures=1))
_CANCELLED = Size((1,), faults=Faults(cancellations=1))


@pytest.mark.parametrize(
    ("without", "instance", "broken", "last_action"),
    [
        ("lease of a record", _SMALL, "only its holder touches a live lease", "record"),
        ("lease of a release", _SMALL, "only its holder touches a live lease", "release"),
        ("lease of a renewal", _SMALL, "only its holder extends a lease", "renew"),
        ("status of a claim", _TWO_TASKS, "an ended task stays as it is", "claim"),
        ("lease has expired", _SMALL, "only its holder touches a live lease", "claim"),
        ("retry is due", _LOSSES, "a retry waits until it is due", "claim"),
        ("stage of an advance", _TWO_HANDLERS, "no stage is skipped", "advance"),
        ("status of a stage that finishes", _FAILING, "an ended stage stays as it is", "record"),
        ("stage of a failure", _FAILING, "a job does not fail at a stage that it has left", "fail_job"),
        ("stage of a claim", _CANCELLED, "nothing begins in a stage that has ended", "claim"),
        ("lease of a cancelled task", _CANCELLED, "only its holder touches a live lease", "cancel_some"),
        ("sweep_stopped", _CANCELLED, NO_WAY_TO_A_GOOD_END, "cancel_job"),
        ("sweep_lease", _LOSSES, NO_WAY_TO_A_GOOD_END, "lose"),
        ("sweep_retry", _LOSSES, NO_WAY_TO_A_GOOD_END, "lose"),
        ("sweep_silence", _LOSSES, NO_WAY_TO_A_GOOD_END, "lose"),
        ("sweep_advance", _LOSSES, NO_WAY_TO_A_GOOD_END, "lose_advance"),
        ("sweep_dispatch", _LOSSES, NO_WAY_TO_A_GOOD_END, "lose_dispatch"),
    ],
)
def test_a_missing_guard_or_sweep_is_found(without: str, instance: Size, broken: str, last_action: str) -> None:
    assert check(Work(instance).model()).violation is None
    violation = check(Work(instance, without=[without]).model()).violation
    assert violation is not None
    assert (violation.broken, violation.actions[-1].name) == (broken, last_action)
