"""A schedule of items by due time."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

SLACK = 1024  # entries; a clean-up of fewer costs more than the memory that it frees

Item = TypeVar("Item")


class Agenda(Generic[Item]):
    """Items ordered by the millisecond at which they are due.

    Entries are never removed one by one: when an entry is due, its owner checks whether it is stale. Items due in the
    same millisecond share one list, because all messages of a batch expire together.
    """

    def __init__(self) -> None:
        self._by_due: dict[int, list[Item]] = {}
        self._dues: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, due_ms: int, item: Item) -> None:
        """Adds an entry; the item may have others."""
        items = self._by_due.get(due_ms)
        if items is None:
            self._by_due[due_ms] = [item]
            heappush(self._dues, due_ms)
        else:
            items.append(item)
        self._size += 1

    def pop_due(self, now_ms: int) -> list[Item]:
        """Removes and returns the items due at `now_ms` or earlier, in order."""
        due: list[Item] = []
        while self._dues and self._dues[0] <= now_ms:
            due += self._by_due.pop(heappop(self._dues))
        self._size -= len(due)
        return due

    def compact(self, live: int, is_live: Callable[[int, Item], bool]) -> None:
        """Drops stale entries when they outnumber the `live` ones; `is_live(due_ms, item)` tells them apart."""
        if self._size <= 2 * live + SLACK:
            return
        kept = {due: [item for item in items if is_live(due, item)] for due, items in self._by_due.items()}
        self._by_due = {due: items for due, items in kept.items() if items}
        self._dues = list(self._by_due)
        heapify(self._dues)
        self._size = sum(map(len, self._by_due.values()))
