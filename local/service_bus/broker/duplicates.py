from collections import deque
from collections.abc import Hashable


class DuplicateWindow:
    """The message ids seen during the last `window_ms` milliseconds, none at all if that is None."""

    def __init__(self, window_ms: int | None) -> None:
        self._window_ms = window_ms
        self._seen: set[Hashable] = set()
        self._by_age: deque[tuple[int, Hashable]] = deque()

    def admit(self, message_id: Hashable | None, now_ms: int) -> bool:
        """Whether `message_id` is new; a new one is remembered, and a repeat does not prolong the window."""
        if self._window_ms is None or message_id in (None, ""):
            return True
        self.tidy(now_ms)
        if message_id in self._seen:
            return False
        self._seen.add(message_id)
        self._by_age.append((now_ms + self._window_ms, message_id))
        return True

    def tidy(self, now_ms: int) -> None:
        """Forgets those whose window is over."""
        while self._by_age and self._by_age[0][0] <= now_ms:
            self._seen.discard(self._by_age.popleft()[1])

    def clear(self) -> None:
        """Forgets all of them."""
        self._seen.clear()
        self._by_age.clear()
