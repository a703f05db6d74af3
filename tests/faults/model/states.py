from collections.abc import Callable, Collection
from functools import cache
from typing import Protocol, TypeVar

from tests.faults.model.checker import Action
from tests.faults.model.rows import Rows


class HasRows(Protocol):
    """A state of a model, for the promises about rows."""

    @property
    def rows(self) -> Rows: ...

    def __hash__(self) -> int: ...


MOST_COPIES = 2
"""Copies of one message that wait in a queue at once: a third one would find what the second one finds."""

Item = TypeVar("Item")


def of_rows(holds: Callable[[Rows], bool]) -> Callable[[HasRows], bool]:
    """An invariant of rows as one of states, many of which share their rows."""
    known = cache(holds)
    return lambda state: known(state.rows)


def of_row_steps(holds: Callable[[Rows, Action, Rows], bool]) -> Callable[[HasRows, Action, HasRows], bool]:
    """A rule of rows as one of states."""
    return lambda before, action, after: before.rows is after.rows or holds(before.rows, action, after.rows)


def replaced(items: tuple[Item, ...], number: int, item: Item) -> tuple[Item, ...]:
    """The items with one replaced."""
    return (*items[:number], item, *items[number + 1 :])


def one_less(counts: tuple[int, ...], indexes: Collection[int]) -> tuple[int, ...]:
    """Counts of messages after one message of each index was taken."""
    return tuple(count - (index in indexes) for index, count in enumerate(counts))


def one_more(counts: tuple[int, ...], indexes: Collection[int]) -> tuple[int, ...]:
    """Counts of messages after one message of each index was sent."""
    return tuple(min(count + (index in indexes), MOST_COPIES) for index, count in enumerate(counts))
