"""Calls to a storage account's queues: each ends at a deadline, and none is made while the account does not answer."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from typing_extensions import override

from core.errors import QueueError, QueueTimeoutError, QueueUnavailableError
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls, Connection

T = TypeVar("T")

SERVICE = "the storage account"

_CALLS_AT_A_TIME = 10
"""As many connections as the client keeps. A call takes about 10 ms in Azure: about 1,000 messages a second, half of
what one queue takes."""


_LAST_PART = 0.1
"""Of the time for several calls: then none is begun any more, so that those that were begun may end in time."""


class _Request(Connection):
    """A request over HTTP: the client's own timeouts end one that is given up, some seconds later."""

    @override
    def cut(self) -> None:
        """The client has no way to end a request of another thread."""

    @override
    def close(self) -> None:
        """The client keeps its connections."""


class StorageCalls:
    """Runs calls in threads of its own, and gives a call up at its deadline; safe to use from several threads.

    The client has timeouts for a connection and for a read, but none for a host that it looks up, a token that it asks
    for, or an answer that arrives byte by byte.

    Args:
        calls: the threads and their breaker.
    """

    def __init__(self, calls: BrokerCalls | None = None) -> None:
        self._calls = calls or BrokerCalls(Breaker(service=SERVICE))
        self._free = threading.BoundedSemaphore(_CALLS_AT_A_TIME)
        self._is_closed = False

    def run(self, action: Callable[[], T], seconds: float) -> T:
        """Makes one call; returns what it returns, and raises what it raises.

        Raises:
            QueueTimeoutError: it did not end in time.
            QueueUnavailableError: it was not made, because earlier ones had no answer.
        """
        self._check_open()
        return self._calls.run(action, _Request(), seconds)

    def run_all(self, actions: Sequence[Callable[[], object]], seconds: float) -> None:
        """Makes calls at the same time.

        Raises:
            QueueError: the first error, as of `run`.
        """
        self._check_open()
        for error in self._calls.run_all([(action, _Request()) for action in actions], seconds):
            raise error

    def for_each(self, items: Sequence[T], call: Callable[[T], None], seconds: float) -> None:
        """Makes a call for each item, several at a time; after the first failure, no more are begun.

        Raises:
            QueueError: the failure. Other items may have had their calls, or may have them later.
        """
        self._check_open()
        ends_at = time.monotonic() + seconds
        shared = _Shared(items, call, ends_at - _LAST_PART * seconds)
        with self._slots(len(items), seconds) as count:
            errors = self._calls.run_all([(shared.work, _Request())] * count, max(ends_at - time.monotonic(), 0))
        if shared.done:
            # The calls that were given up at the deadline were not the only ones: the account is slow, and not silent.
            self._calls.breaker.answered()
        if shared.done == len(items):
            return
        unexpected = [error for error in errors if not isinstance(error, QueueError)]
        if failures := [*unexpected, *shared.errors]:
            raise failures[0]
        if errors and not any(isinstance(error, QueueTimeoutError) for error in errors):
            raise errors[0]  # no call was made
        raise QueueTimeoutError(f"{SERVICE} answered {shared.done} of {len(items)} calls within {seconds:g} s")

    def close(self) -> None:
        """Ends the threads once they have ended their calls; no further call is made.

        Later calls raise QueueUnavailableError.
        """
        self._is_closed = True
        self._calls.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise QueueUnavailableError(f"the connection to {SERVICE} is closed")

    @contextmanager
    def _slots(self, wanted: int, seconds: float) -> Iterator[int]:
        """Gives a block at least one of the calls that may be made at a time, and as many as are free."""
        if self._calls.breaker.is_open:  # one call is made, or none: neither waits for the others
            yield 1
            return
        if not self._free.acquire(timeout=seconds):
            raise QueueTimeoutError(f"no call to {SERVICE} could begin within {seconds:g} s")
        count = 1
        while count < wanted and self._free.acquire(blocking=False):
            count += 1
        try:
            yield count
        finally:
            self._free.release(count)


class _Shared(Generic[T]):
    """Items that several threads take one after another.

    Attributes:
        done: how many have had their calls.
        errors: what calls have raised.
    """

    def __init__(self, items: Sequence[T], call: Callable[[T], None], until: float) -> None:
        self._left = deque(items)
        self._call = call
        self._until = until
        self._lock = threading.Lock()
        self.done = 0
        self.errors: list[QueueError] = []

    def seconds_left(self) -> float:
        return max(self._until - time.monotonic(), 0)

    def work(self) -> None:
        """Makes calls until none is left, one fails, or the time is over; the last is no failure of the service."""
        while not self.errors and self.seconds_left():
            try:
                item = self._left.popleft()
            except IndexError:
                return
            try:
                self._call(item)
            except QueueError as exc:
                self.errors.append(exc)
                raise
            with self._lock:
                self.done += 1
