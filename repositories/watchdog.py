"""Deadlines for calls that block in C, and that nothing but their own socket can interrupt."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TICK_SECONDS = 0.5
_IDLE_SECONDS = 10.0
"""After this time without a call to watch, the thread ends; the next call starts another."""


class Watchdog:
    """Interrupts calls that take too long, from a thread of its own; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[object, tuple[float, Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, seconds: float, interrupt: Callable[[], None]) -> Iterator[None]:
        """Watches a block.

        Args:
            seconds: how long the block may take.
            interrupt: called once if the block takes longer; never after the block. Must not wait.
        """
        key = object()
        try:
            with self._lock:
                self._watched[key] = (time.monotonic() + seconds, interrupt)
                if self._thread is None or not self._thread.is_alive():  # in a forked process it is not
                    self._thread = threading.Thread(target=self._run, name="database watchdog", daemon=True)
                    self._thread.start()  # fails if the system has no thread left
            yield
        finally:
            with self._lock:
                self._watched.pop(key, None)

    def _run(self) -> None:
        used_at = time.monotonic()
        while True:
            time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            # The lock is held while a call is interrupted: a call that ends now cannot return its connection first.
            with self._lock:
                if self._watched:
                    used_at = now
                elif now - used_at >= _IDLE_SECONDS:
                    self._thread = None
                    return
                for key, (deadline, interrupt) in list(self._watched.items()):
                    if deadline <= now:
                        del self._watched[key]
                        interrupt()
