from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

SLACK = 1024  # entries; below this a clean-up costs more than the memory it returns

Item = TypeVar("Item")


class Agenda(Generic[Item]):
    """Items by the millisecond at which something is due for them.

    Entries are never removed one by one: an entry may be out of date, and the owner judges it when it comes up.
    All items due in the same millisecond share one list, since a batch of a hundred messages expires together.
    """

    def __init__(self) -> None:
        self._by_due: dict[int, list[Item]] = {}
        self._dues: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, due_ms: int, item: Item) -> None:
        """Notes that `item` is due at `due_ms`."""
        items = self._by_due.get(due_ms)
        if items is None:
            self._by_due[due_ms] = [item]
            heappush(self._dues, due_ms)
        else:
            items.append(item)
        self._size += 1

    def pop_due(self, now_ms: int) -> list[Item]:
        """Removes and returns what is due at `now_ms` or before, earliest first."""
        due: list[Item] = []
        while self._dues and self._dues[0] <= now_ms:
            due += self._by_due.pop(heappop(self._dues))
        self._size -= len(due)
        return due

    def compact(self, live: int, is_live: Callable[[int, Item], bool]) -> None:
        """Forgets entries out of date once they outnumber the `live` ones; `is_live(due_ms, item)` tells."""
        if self._size <= 2 * live + SLACK:
            return
        kept = {due: [item for item in items if is_live(due, item)] for due, items in self._by_due.items()}
        self._by_due = {due: items for due, items in kept.items() if items}
        self._dues = list(self._by_due)
        heapify(self._dues)
        self._size = sum(map(len, self._by_due.values()))
