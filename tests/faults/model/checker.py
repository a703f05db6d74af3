"""An exhaustive check of small models: every state that any interleaving reaches, breadth first.

The models are in Python and not in TLA+, because then they can be replayed against the repositories:
`tests/faults/test_model_replay.py`.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class Action(NamedTuple):
    """What happens in one atomic step.

    Attributes:
        name: what it is called in the model.
        who: the actor and what it acts on.
        is_fault: whether it is a fault, which may stop happening: a crash, a duplicate, a loss.
    """

    name: str
    who: tuple[Any, ...] = ()
    is_fault: bool = False

    def __str__(self) -> str:
        return f"{'! ' if self.is_fault else ''}{self.name}{self.who}"


@dataclass(frozen=True)
class Model(Generic[State]):
    """A system to check.

    Attributes:
        initial: where it may start.
        steps: the actions that may come next in a state, each with the state after it.
        invariants: what holds in every state.
        rules: what holds of every step (before, action, after).
        is_good_end: whether everything that was asked for has ended. Every state must lead to such an end without a
            further fault. As there are finitely many states, every fair run without more faults then comes to one.
    """

    initial: Iterable[State]
    steps: Callable[[State], Iterator[tuple[Action, State]]]
    invariants: Mapping[str, Callable[[State], bool]]
    rules: Mapping[str, Callable[[State, Action, State], bool]]
    is_good_end: Callable[[State], bool]


@dataclass(frozen=True)
class Violation(Generic[State]):
    """A shortest run to a state or step that breaks a promise."""

    broken: str
    actions: tuple[Action, ...]
    states: tuple[State, ...]

    def __str__(self) -> str:
        lines = [f"broken: {self.broken}", f"  {self.states[0]}"]
        for action, state in zip(self.actions, self.states[1:], strict=True):
            lines += [f"{action}", f"  {state}"]
        return "\n".join(lines)


@dataclass(frozen=True)
class Verdict(Generic[State]):
    """What a check found; without a violation it has seen every state."""

    states: int
    steps: int
    violation: Violation[State] | None


NO_WAY_TO_A_GOOD_END = "a good end is in reach"


def check(model: Model[State]) -> Verdict[State]:
    """Visits every reachable state; stops at the first that breaks an invariant or a rule."""
    return _Search(model).run()


class _Search(Generic[State]):
    def __init__(self, model: Model[State]) -> None:
        self._model = model
        self._numbers: dict[State, int] = {}
        self._states: list[State] = []
        self._origins: list[tuple[int, Action] | None] = []
        self._before: list[list[int]] = []
        """Of each state, those from which a step that is no fault leads to it."""
        self._steps = 0

    def run(self) -> Verdict[State]:
        violation = self._visit_all() or self._find_trap()
        return Verdict(len(self._states), self._steps, violation)

    def _visit_all(self) -> Violation[State] | None:
        for state in self._model.initial:
            if broken := self._enter(state, None):
                return broken
        number = 0
        while number < len(self._states):
            state = self._states[number]
            for action, after in self._model.steps(state):
                self._steps += 1
                for name, holds in self._model.rules.items():
                    if not holds(state, action, after):
                        return self._violation(name, number, (action, after))
                if broken := self._enter(after, (number, action)):
                    return broken
                if not action.is_fault:
                    self._before[self._numbers[after]].append(number)
            number += 1
        return None

    def _enter(self, state: State, origin: tuple[int, Action] | None) -> Violation[State] | None:
        if state in self._numbers:
            return None
        number = self._numbers[state] = len(self._states)
        self._states.append(state)
        self._origins.append(origin)
        self._before.append([])
        for name, holds in self._model.invariants.items():
            if not holds(state):
                return self._violation(name, number)
        return None

    def _find_trap(self) -> Violation[State] | None:
        """The first state from which no good end can be reached, if there is one."""
        good = [number for number, state in enumerate(self._states) if self._model.is_good_end(state)]
        saved = bytearray(len(self._states))
        for number in good:
            saved[number] = 1
        waiting = deque(good)
        while waiting:
            for number in self._before[waiting.popleft()]:
                if not saved[number]:
                    saved[number] = 1
                    waiting.append(number)
        trap = saved.find(0)
        return None if trap == -1 else self._violation(NO_WAY_TO_A_GOOD_END, trap)

    def _violation(self, broken: str, number: int, last: tuple[Action, State] | None = None) -> Violation[State]:
        states, actions = [self._states[number]], list[Action]()
        while (origin := self._origins[number]) is not None:
            number, action = origin
            states.append(self._states[number])
            actions.append(action)
        states.reverse()
        actions.reverse()
        if last is not None:
            actions.append(last[0])
            states.append(last[1])
        return Violation(broken, tuple(actions), tuple(states))
