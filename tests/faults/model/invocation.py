"""One call into a process, which may die, fail or stop at an operation of its database or its queue."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

_MOST_SECONDS = 60.0


class ProcessDied(BaseException):
    """Ends a process wherever it is."""


class Strike(Enum):
    """What happens at an operation: a commit, or a send."""

    DIE_BEFORE = "the process dies before it has an effect"
    DIE_AFTER = "the process dies after it had its effect"
    FAIL_BEFORE = "it fails and has no effect"
    FAIL_AFTER = "it has its effect and is not acknowledged"
    AWAY = "from it on, everything fails and has no effect"
    CONFLICT = "a commit loses a conflict"
    STOP = "the process is stopped after it, and goes on when it is told to"


@dataclass(frozen=True)
class Fault:
    """What strikes at the operation with this number, from 1."""

    strike: Strike
    at: int


class Mortal(Protocol):
    """A process, as its invocations see it."""

    dead: bool

    @property
    def ran(self) -> Callable[[str], None]:
        """Is called with the id of each task whose handler starts."""
        ...


class Invocation:
    """A call, on its own thread if it may stop; of all these threads one runs at a time.

    Attributes:
        process: where it runs.
        error: what it raised.
        ended: whether it has returned or raised.

    Args:
        process: where it runs.
        call: the call.
        fault: the fault that strikes it, if any.
    """

    def __init__(self, process: Mortal, call: Callable[[], object], fault: Fault | None = None) -> None:
        self.process = process
        self.error: BaseException | None = None
        self.ended = False
        self._call = call
        self._fault = fault
        self._operations = 0
        self._go = threading.Semaphore(0)
        self._idle = threading.Semaphore(0)
        self._lets_run: Invocation | None = None
        self._blocked_by: Invocation | None = None

    def start(self) -> None:
        """Runs it to its end, or to where it stops."""
        if self._fault is None or self._fault.strike is not Strike.STOP:
            self._run()
            return
        threading.Thread(target=self._run_apart, name="invocation", daemon=True).start()
        self._wait_until_idle()

    def go_on(self, fault: Fault | None = None) -> None:
        """Runs a stopped call on to its end, or to where it stops again; in a dead process it ends at once."""
        self._fault, self._operations = fault, 0
        self._go.release()
        self._wait_until_idle()

    def let_run(self, other: "Invocation") -> None:
        """Called on the own thread, by one that waits for a row: runs a stopped call that holds it.

        That call may come to want a row of one that waits, too, perhaps for a transaction that has ended in the
        meantime. Then they all stop, back to that one, which looks again whether it can go on.
        """
        if other._lets_run is None:
            self._lets_run = other
            try:
                other.go_on()
            finally:
                self._lets_run = None
            first = other._blocked_by
            if other.ended or first is None or first is self:
                return
        else:
            first = other
        self._blocked_by = first
        self._stop()
        self._blocked_by = None

    def must_live(self) -> None:
        """Raises `ProcessDied` when its process is dead."""
        if self.process.dead:
            raise ProcessDied

    def is_cut_off(self) -> bool:
        """Whether the database and the queue can no longer be reached."""
        fault = self._fault
        return fault is not None and fault.strike is Strike.AWAY and self._operations >= fault.at

    def before(self) -> Strike | None:
        """Called before each operation; returns what happens there."""
        self.must_live()
        self._operations += 1
        if self.is_cut_off():
            return Strike.FAIL_BEFORE
        if self._fault is None or self._fault.at != self._operations:
            return None
        if self._fault.strike is Strike.DIE_BEFORE:
            self._die()
        return self._fault.strike

    def after(self, strike: Strike | None) -> None:
        """Called after each operation that had its effect, with what `before` returned."""
        if strike is Strike.DIE_AFTER:
            self._die()
        if strike is Strike.STOP:
            self._stop()

    def _wait_until_idle(self) -> None:
        # Nothing here takes long. Without a limit, a test in which two calls wait for each other would never end.
        assert self._idle.acquire(timeout=_MOST_SECONDS), "a call waits for something that no other call can give"

    def _stop(self) -> None:
        self._idle.release()
        self._go.acquire()
        self.must_live()

    def _die(self) -> None:
        self.process.dead = True
        raise ProcessDied

    def _run_apart(self) -> None:
        try:
            self._run()
        finally:
            self._idle.release()

    def _run(self) -> None:
        _local.running = self
        try:
            self._call()
        except BaseException as exc:  # noqa: BLE001 - kept in `error` for the caller
            self.error = exc
        finally:
            self.ended = True
            _local.running = None


class _Local(threading.local):
    running: Invocation | None = None


_local = _Local()


def running() -> Invocation:
    """The invocation that is running on this thread."""
    assert _local.running is not None, "only invocations use a process"
    return _local.running
