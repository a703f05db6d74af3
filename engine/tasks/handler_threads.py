"""The threads that handlers run on; replaced when tasks that outlast their timeouts keep all of them."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_REPLACEMENTS = 3
"""How often all threads are replaced while none of them returns: each may hold memory and a connection."""


class HandlerThreads:
    """Up to `count` threads; safe to use from several threads.

    Python cannot end a thread. A handler that takes no notice of its timeout keeps its thread until it returns. When
    such handlers keep all threads, new ones take their place, at most `MAX_REPLACEMENTS` times.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        self._left: list[Future[Any]] = []
        self._left_before: list[Future[Any]] = []

    def submit(self, action: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs an action on one of the threads."""
        return self._pool.submit(action, *args, **kwargs)

    def leave(self, future: Future[Any]) -> None:
        """Notes a running action whose outcome does not count any more; it keeps its thread until it returns."""
        with self._lock:
            self._left = [each for each in (*self._left, future) if not each.done()]
            self._left_before = [each for each in self._left_before if not each.done()]
            logger.warning(
                "%d threads still run tasks whose timeouts are over", len(self._left) + len(self._left_before)
            )
            if len(self._left) >= self.count:
                self._replace()

    def close(self) -> None:
        """Waits until the threads have nothing to do."""
        self._pool.shutdown()

    def _replace(self) -> None:
        if len(self._left_before) >= MAX_REPLACEMENTS * self.count:
            logger.error(
                "every thread of this process runs a task whose timeout is over, and no more threads are added; "
                "it runs no other task until one returns. Tasks like these need isolated=True"
            )
            return
        self._left_before += self._left
        self._left = []
        # Python ends the threads of a pool that nobody refers to, once they return. Tasks that have not started there
        # wait for one of them, or are released.
        self._pool = self._new_pool()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.count, thread_name_prefix="handler")
