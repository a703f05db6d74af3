"""Deadlines for calls into clients of Azure, which wait without limit for a service that does not answer."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from core.errors import QueueTimeoutError, QueueUnavailableError
from core.log_threads import joined
from repositories.breaker import Breaker

_CUT_EVERY_SECONDS = 1.0

T = TypeVar("T")


class Connection(Protocol):
    """What a call uses, and what is lost with the call when it is given up."""

    def cut(self) -> None:
        """Ends the sockets from another thread, at once and without raising, so that the call fails."""
        ...

    def close(self) -> None:
        """Closes it in the call's own thread, without raising."""
        ...


class Call(Generic[T]):
    """An action that runs in a thread of `BrokerCalls`.

    Attributes:
        connection: what the action uses.
        seconds: its deadline, from its creation.
        is_trial: whether an open breaker admitted it.
        is_performed: whether the action has returned or raised.
        is_ended: set when the outcome can be read, and the thread may run the next call.
    """

    def __init__(self, action: Callable[[], T], connection: Connection, seconds: float, *, is_trial: bool) -> None:
        self.connection = connection
        self.is_trial = is_trial
        self.is_performed = False
        self.is_ended = threading.Event()
        self.seconds = seconds
        self._action = joined(action)
        self._until = time.monotonic() + seconds
        self._error: BaseException | None = None
        self._value: T

    def perform(self) -> None:
        """Runs the action and keeps what it returns or raises."""
        try:
            self._value = self._action()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits for the call
            self._error = exc

    @property
    def is_unanswered(self) -> bool:
        """Whether the client itself has found that there is no answer."""
        return isinstance(self._error, QueueTimeoutError)

    def wait(self) -> bool:
        """Waits for the end or the deadline; returns whether the call has ended."""
        return self.is_ended.wait(max(self._until - time.monotonic(), 0))

    def outcome(self) -> T:
        """Returns what the action has returned, or raises what it has raised."""
        if self._error is not None:
            raise self._error
        return self._value


class BrokerCalls:
    """Runs calls in threads of its own, and gives a call up at its deadline.

    A thread that waits inside the client cannot be ended. So the caller stops waiting, and the thread stays behind with
    its connection. Once a second, until the thread has ended its call, the sockets of the connection are cut: the
    client connects again before it gives up itself. A given-up call may still take effect: its bytes may have reached
    the broker.

    The threads are daemons, so that a process can end while they hang. Idle threads are used again: there are as many
    as callers at once, and those that hang, which the breaker limits.
    """

    def __init__(self, breaker: Breaker | None = None, cut_every_seconds: float = _CUT_EVERY_SECONDS) -> None:
        self.breaker = breaker or Breaker()
        self._cut_every_seconds = cut_every_seconds
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Call[Any] | None]] = []
        self._hanging: set[Call[Any]] = set()
        self._is_cutting = False
        self._is_closed = False

    def run(self, action: Callable[[], T], connection: Connection, seconds: float) -> T:
        """Runs an action; returns what it returns, and raises what it raises.

        Raises:
            QueueTimeoutError: the action did not end in time; the connection must not be used again.
            QueueUnavailableError: the action was not run, because earlier ones had no answer.
        """
        return self._result(self._start(action, connection, seconds))

    def run_all(self, actions: Sequence[tuple[Callable[[], object], Connection]], seconds: float) -> list[Exception]:
        """Runs actions at the same time; returns the errors. The connection of an action that is not run is cut."""
        started: list[Call[object]] = []
        errors: list[Exception] = []
        for action, connection in actions:
            try:
                started.append(self._start(action, connection, seconds))
            except QueueUnavailableError as exc:
                connection.cut()
                errors.append(exc)
        for call in started:
            try:
                self._result(call)
            except Exception as exc:  # noqa: BLE001 - each call that is started must be waited for
                errors.append(exc)
        return errors

    def close(self) -> None:
        """Ends the idle threads now, and the others when their calls have ended."""
        with self._lock:
            self._is_closed = True
            idle = list(self._idle)
            self._idle.clear()
        for inbox in idle:
            inbox.put(None)

    def _start(self, action: Callable[[], T], connection: Connection, seconds: float) -> Call[T]:
        """Starts an action, whose deadline begins now; then `_result` must be called."""
        call = Call(action, connection, seconds, is_trial=self.breaker.admit())
        try:
            self._hand_over(call)
        except RuntimeError as exc:  # the system has no thread left
            self._failed(call)
            raise QueueUnavailableError(f"no thread for a call to {self.breaker.service}: {exc}") from exc
        return call

    def _result(self, call: Call[T]) -> T:
        """Waits for a started call, until its deadline."""
        if not call.wait() and self._give_up(call):
            raise QueueTimeoutError(f"{self.breaker.service} did not answer within {call.seconds:g} s")
        if call.is_unanswered:
            self._failed(call)
        else:
            self.breaker.answered()
        return call.outcome()

    def _failed(self, call: Call[Any]) -> None:
        """Counts a call without an answer that has no thread any more."""
        self.breaker.gave_up(is_trial=call.is_trial)
        self.breaker.ended()

    def _hand_over(self, call: Call[Any]) -> None:
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name="broker", daemon=True).start()
        inbox.put(call)

    def _work(self, inbox: "SimpleQueue[Call[Any] | None]") -> None:
        while call := inbox.get():
            call.perform()
            if self._is_late(call):
                self._close_late(call)
            goes_on = self._rest(inbox)
            call.is_ended.set()
            del call  # it holds messages
            if not goes_on:
                return

    def _is_late(self, call: Call[Any]) -> bool:
        """Decides between the end of a call and its deadline."""
        with self._lock:
            call.is_performed = True
            return call in self._hanging

    def _close_late(self, call: Call[Any]) -> None:
        call.connection.close()
        with self._lock:
            self._hanging.discard(call)
        self.breaker.ended()

    def _rest(self, inbox: "SimpleQueue[Call[Any] | None]") -> bool:
        """Makes a thread idle; returns False when it must end."""
        with self._lock:
            if not self._is_closed:
                self._idle.append(inbox)
            return not self._is_closed

    def _give_up(self, call: Call[Any]) -> bool:
        """Leaves a call to its thread; returns False if it has ended meanwhile."""
        with self._lock:
            if call.is_performed:
                return False
            self.breaker.gave_up(is_trial=call.is_trial)
            self._hanging.add(call)
            if not self._is_cutting:
                with suppress(RuntimeError):  # without a thread left, the next given-up call tries again
                    threading.Thread(target=self._cut_hanging, name="broker-cutter", daemon=True).start()
                    self._is_cutting = True
        call.connection.cut()
        return True

    def _cut_hanging(self) -> None:
        while True:
            time.sleep(self._cut_every_seconds)
            with self._lock:
                hanging = list(self._hanging)
                if not hanging:
                    self._is_cutting = False
                    return
            for call in hanging:
                call.connection.cut()
