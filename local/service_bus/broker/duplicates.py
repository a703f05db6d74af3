"""Duplicate detection."""

from collections import deque
from collections.abc import Hashable


class DuplicateWindow:
    """The message ids of the last `window_ms` milliseconds; None turns duplicate detection off."""

    def __init__(self, window_ms: int | None) -> None:
        self._window_ms = window_ms
        self._seen: set[Hashable] = set()
        self._by_age: deque[tuple[int, Hashable]] = deque()

    def admit(self, message_id: Hashable | None, now_ms: int) -> bool:
        """Whether `message_id` is new; records a new id. A repeat does not extend the window."""
        if self._window_ms is None or message_id in (None, ""):
            return True
        self.tidy(now_ms)
        if message_id in self._seen:
            return False
        self._seen.add(message_id)
        self._by_age.append((now_ms + self._window_ms, message_id))
        return True

    def tidy(self, now_ms: int) -> None:
        """Removes the ids whose window has ended."""
        while self._by_age and self._by_age[0][0] <= now_ms:
            self._seen.discard(self._by_age.popleft()[1])

    def clear(self) -> None:
        """Removes all ids."""
        self._seen.clear()
        self._by_age.clear()
