from collections.abc import Callable
from heapq import heapify, heappop, heappush

SLACK = 1024  # entries; below this a clean-up costs more than the memory it returns


class Agenda:
    """Sequence numbers by the millisecond at which something is due for them.

    Entries are never removed one by one: an entry may be out of date, and the owner judges it when it comes up.
    All numbers due in the same millisecond share one list, since a batch of a hundred messages expires together.
    """

    def __init__(self) -> None:
        self._by_due: dict[int, list[int]] = {}
        self._dues: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, due_ms: int, sequence_number: int) -> None:
        """Notes that `sequence_number` is due at `due_ms`."""
        numbers = self._by_due.get(due_ms)
        if numbers is None:
            self._by_due[due_ms] = [sequence_number]
            heappush(self._dues, due_ms)
        else:
            numbers.append(sequence_number)
        self._size += 1

    def pop_due(self, now_ms: int) -> list[int]:
        """Removes and returns what is due at `now_ms` or before, earliest first."""
        due: list[int] = []
        while self._dues and self._dues[0] <= now_ms:
            due += self._by_due.pop(heappop(self._dues))
        self._size -= len(due)
        return due

    def compact(self, live: int, is_live: Callable[[int, int], bool]) -> None:
        """Forgets entries out of date once they outnumber the `live` ones; `is_live(due_ms, sequence_number)` tells."""
        if self._size <= 2 * live + SLACK:
            return
        kept = {due: [n for n in numbers if is_live(due, n)] for due, numbers in self._by_due.items()}
        self._by_due = {due: numbers for due, numbers in kept.items() if numbers}
        self._dues = list(self._by_due)
        heapify(self._dues)
        self._size = sum(map(len, self._by_due.values()))
