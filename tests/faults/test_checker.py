"""The checker itself, on systems with known faults."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.faults.model.checker import NO_WAY_TO_A_GOOD_END, Action, Model, Verdict, check


class Counter(NamedTuple):
    """Two actors that each add 1 to a shared number: they read it, then they write it."""

    number: int = 0
    seen: tuple[int, ...] = (-1, -1)


def _racing(counter: Counter) -> Iterator[tuple[Action, Counter]]:
    for actor, seen in enumerate(counter.seen):
        if seen == -1:
            read = tuple(counter.number if each == actor else old for each, old in enumerate(counter.seen))
            yield Action("read", (actor,)), counter._replace(seen=read)
        elif seen < 10:
            written = tuple(10 if each == actor else old for each, old in enumerate(counter.seen))
            yield Action("write", (actor,)), Counter(seen + 1, written)


def _check_counters(**changes: object) -> Verdict[Counter]:
    model = Model(initial=[Counter()], steps=_racing, invariants={}, rules={}, is_good_end=lambda _: True)
    return check(Model(**{**vars(model), **changes}))


def test_every_interleaving_is_visited() -> None:
    verdict = _check_counters()
    assert (verdict.states, verdict.violation) == (12, None)


def test_a_broken_invariant_is_shown_by_a_shortest_run() -> None:
    violation = _check_counters(
        invariants={"nothing is lost": lambda counter: counter.seen != (10, 10) or counter.number == 2}
    ).violation
    assert violation is not None
    assert violation.broken == "nothing is lost"
    assert [action.name for action in violation.actions] == ["read", "read", "write", "write"]
    assert violation.states[-1].number == 1
    assert "broken: nothing is lost" in str(violation)


def test_a_broken_rule_is_shown_with_the_step_that_breaks_it() -> None:
    violation = _check_counters(
        rules={"actor 1 never writes": lambda before, action, after: action != Action("write", (1,))}
    ).violation
    assert violation is not None
    assert [str(action) for action in violation.actions] == ["read(1,)", "write(1,)"]
    assert violation.states[-1] == Counter(1, (-1, 10))


def test_a_state_without_a_way_to_a_good_end_is_found() -> None:
    violation = _check_counters(is_good_end=lambda counter: counter.number == 2).violation
    assert violation is not None
    assert violation.broken == NO_WAY_TO_A_GOOD_END
    assert [action.name for action in violation.actions] == ["read", "read"]


def _check_falls(steps: Callable[[int], Iterator[tuple[Action, int]]]) -> Verdict[int]:
    return check(Model(initial=[0], steps=steps, invariants={}, rules={}, is_good_end=lambda state: state == 0))


def test_a_fault_is_no_way_to_a_good_end() -> None:
    def falls(state: int) -> Iterator[tuple[Action, int]]:
        yield (Action("fall"), 1) if state == 0 else (Action("luck", is_fault=True), 0)

    violation = _check_falls(falls).violation
    assert violation is not None
    assert violation.states == (0, 1)


def test_a_detour_is_a_way_to_a_good_end() -> None:
    def goes_round(state: int) -> Iterator[tuple[Action, int]]:
        yield Action("go"), (state + 1) % 3

    assert _check_falls(goes_round) == Verdict(states=3, steps=3, violation=None)
