from collections.abc import Callable

import pytest

from local.service_bus.faults import (
    Delay,
    Drop,
    DroppedOnDemandError,
    Faults,
    Moment,
    Refuse,
    RefusedOnDemandError,
    UnknownFaultError,
)


class Flag:
    def __init__(self) -> None:
        self.raised = 0

    def __call__(self) -> None:
        self.raised += 1


def faults(on_delay: Callable[[], None] = lambda: None) -> Faults:
    return Faults(on_delay)


def outcome(armed: Faults, moment: Moment, entity: str = "q") -> str:
    try:
        armed.strike(moment, entity)
    except DroppedOnDemandError:
        return "dropped"
    except RefusedOnDemandError as refusal:
        return refusal.condition
    return "nothing"


def test_without_faults_nothing_strikes() -> None:
    assert {outcome(faults(), moment) for moment in Moment} == {"nothing"}


def test_a_fault_strikes_at_its_moment_as_often_as_asked_for() -> None:
    armed = faults()
    armed.arm(Drop(at=Moment.SEND, count=2))
    assert outcome(armed, Moment.ATTACH) == "nothing"
    assert [outcome(armed, Moment.SEND) for _ in range(3)] == ["dropped", "dropped", "nothing"]
    assert armed.armed() == []


def test_the_remaining_count_decreases_and_the_fault_keeps_its_id() -> None:
    armed = faults()
    first = armed.arm(Drop(at=Moment.SEND, count=2))
    second = armed.arm(Drop(at=Moment.ATTACH))
    outcome(armed, Moment.SEND)
    assert [(one.id, one.left) for one in armed.armed()] == [(first.id, 1), (second.id, 1)]


def test_a_fault_without_a_count_strikes_until_it_is_lifted() -> None:
    armed = faults()
    fault_id = armed.arm(Refuse(condition="com.microsoft:server-busy", count=None)).id
    assert {outcome(armed, Moment.SEND) for _ in range(100)} == {"com.microsoft:server-busy"}
    armed.lift(fault_id)
    assert outcome(armed, Moment.SEND) == "nothing"


@pytest.mark.parametrize("path", ["Q/a", "sb://host/q/A/", "q%2Fa"])
def test_a_fault_strikes_its_own_entity_however_its_path_is_written(path: str) -> None:
    armed = faults()
    armed.arm(Drop(at=Moment.SEND, entity=path))
    assert outcome(armed, Moment.SEND, "q/b") == "nothing"
    assert outcome(armed, Moment.SEND, "q/a") == "dropped"


def test_of_several_faults_the_oldest_that_is_due_strikes() -> None:
    armed = faults()
    armed.arm(Drop(at=Moment.SEND, entity="other"))
    armed.arm(Refuse(condition="com.microsoft:timeout"))
    armed.arm(Drop(at=Moment.SEND))
    assert [outcome(armed, Moment.SEND) for _ in range(3)] == ["com.microsoft:timeout", "dropped", "nothing"]
    assert len(armed.armed()) == 1


def test_a_fault_that_is_spent_or_lifted_cannot_be_lifted() -> None:
    armed = faults()
    spent = armed.arm(Drop(at=Moment.SEND)).id
    outcome(armed, Moment.SEND)
    lifted = armed.arm(Drop(at=Moment.SEND)).id
    armed.lift(lifted)
    for fault_id in (spent, lifted):
        with pytest.raises(UnknownFaultError):
            armed.lift(fault_id)


def test_a_delay_replaces_the_one_before() -> None:
    armed = faults()
    armed.arm(Delay(milliseconds=500))
    armed.arm(Delay(milliseconds=200))
    assert armed.delay_ms == 200
    assert len(armed.armed()) == 1
    assert {outcome(armed, moment) for moment in Moment} == {"nothing"}


def test_only_a_change_of_the_delay_is_reported() -> None:
    changed = Flag()
    armed = faults(changed)
    delay = armed.arm(Delay(milliseconds=500))
    armed.arm(Drop(at=Moment.SEND))
    outcome(armed, Moment.SEND)
    assert changed.raised == 1
    armed.lift(delay.id)
    assert (changed.raised, armed.delay_ms) == (2, 0)
    armed.clear()
    assert changed.raised == 2


def test_clearing_lifts_everything() -> None:
    armed = faults()
    armed.arm(Delay(milliseconds=1))
    armed.arm(Drop(at=Moment.SEND, count=None))
    armed.clear()
    assert (armed.armed(), armed.delay_ms, outcome(armed, Moment.SEND)) == ([], 0, "nothing")
