import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from core.log_threads import joined

AT_FIRST = 2
"""So that a batch can compute while another one waits."""

LONG_WAIT_SECONDS = 0.005
"""How long no batch must end before another joins those in flight: as long as it takes to open the connection to
PostgreSQL that it may need. Where batches end sooner, the threads already keep the processors busy
(docs/decisions/0027)."""


class BatchThreads:
    """Runs batches on threads, as many at once as their waits are worth.

    Threads can overlap waits only: they compute one after the other. So two batches are in flight at first. When none
    ends for `LONG_WAIT_SECONDS`, one more may be in flight from then on, up to `most`.

    Args:
        most: how many batches may be in flight.
    """

    def __init__(self, most: int) -> None:
        self.at_once = min(AT_FIRST, most)
        self._most = most
        self._free = threading.Semaphore(self.at_once)
        self._executor = ThreadPoolExecutor(most, thread_name_prefix="dispatch")

    @classmethod
    @contextmanager
    def open(cls, most: int) -> Iterator["BatchThreads"]:
        """Runs the threads during a block; its end waits for the batches in flight."""
        threads = cls(most)
        with threads._executor:
            yield threads

    def await_turn(self) -> None:
        """Waits until another batch may be in flight; `start` must follow."""
        if self.at_once == self._most:
            self._free.acquire()
        elif not self._free.acquire(timeout=LONG_WAIT_SECONDS):
            self.at_once += 1

    def start(self, action: Callable[[], bool]) -> Future[bool]:
        """Runs a batch on a thread, after its turn has come."""
        future = self._executor.submit(joined(action))
        # After the future has its outcome: then the caller sees a failed batch before the next one starts.
        future.add_done_callback(lambda _: self._free.release())
        return future
