"""The calls of handlers in one run. Threads take them from a shared queue, so a short call costs no hand-over."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

from core.log_threads import joined
from core.task_runs import ClaimedTask, TaskOutcome
from engine.tasks.handler_threads import HandlerThreads

Outcomes = list[TaskOutcome | None]
"""The outcomes of a call, in the order of its tasks; None for a task that must be released."""


class Call:
    """One call of a handler, for one task or a list of tasks."""

    __slots__ = ("_error", "_outcomes", "ended", "runner", "tasks")

    def __init__(self, tasks: Sequence[ClaimedTask]) -> None:
        self.tasks = tasks
        self.ended = False
        self.runner: Future[None] | None = None
        self._outcomes: Outcomes = []
        self._error: BaseException | None = None

    def make(self, run: Callable[[Sequence[ClaimedTask]], Outcomes]) -> None:
        """Makes the call, and keeps what comes of it."""
        try:
            self._outcomes = run(self.tasks)
        except BaseException as exc:  # noqa: BLE001 - an error of the engine: `outcomes` raises it in the run's thread
            self._error = exc

    def outcomes(self) -> Outcomes:
        """Returns the outcomes of a call that has ended, or raises its error."""
        if self._error is not None:
            raise self._error
        return self._outcomes


_ALONE_SECONDS = 0.002
"""How long one thread makes the calls of a run alone. A hundred short ones are made within this time, and other threads
would only compete for the interpreter."""


class Calls:
    """Makes calls on the threads of a process: short ones on one thread, and as many at once as there are threads.

    Args:
        threads: the threads.
        run: runs the tasks of one call.
        tasks: the tasks of each call.
    """

    def __init__(
        self,
        threads: HandlerThreads,
        run: Callable[[Sequence[ClaimedTask]], Outcomes],
        tasks: Iterable[Sequence[ClaimedTask]],
    ) -> None:
        self._threads = threads
        self._run = run
        self._take_calls = joined(self._take)
        self._lock = threading.Lock()
        self._all_ended = threading.Event()
        self.open = [Call(each) for each in tasks]
        """The calls whose outcomes the run has not collected."""
        self._waiting = deque(self.open)
        self._unended = len(self.open)
        self._is_alone = True
        self._ask()

    def wait(self, seconds: float) -> None:
        """Waits until all calls have ended or were given up, at most so many seconds."""
        if self._is_alone:
            self._is_alone = False
            if self._all_ended.wait(min(_ALONE_SECONDS, seconds)):
                return
            for _ in range(min(len(self._waiting), self._threads.count - 1)):
                self._ask()
        self._all_ended.wait(seconds)

    def withdraw(self, call: Call) -> bool:
        """Keeps a call from being made; returns False if it was begun before."""
        with self._lock:
            if call not in self._waiting:
                return False
            self._waiting.remove(call)
            self._end()
            return True

    def give_up(self, call: Call) -> bool:
        """Waits no longer for a call that was begun, and leaves its thread; returns False if the call has ended."""
        with self._lock:
            if call.ended:
                return False
            call.ended = True
            self._end()
        assert call.runner is not None, "it was begun"
        self._threads.leave(call.runner)
        if self._waiting:
            self._ask()
        return True

    def stop(self) -> None:
        """Makes no more calls."""
        with self._lock:
            self._waiting.clear()

    def _ask(self) -> None:
        self._threads.submit(self._take_calls, Future())

    def _take(self, runner: Future[None]) -> None:
        """Makes calls until none waits, or until the run gives up the call that this thread makes."""
        call: Call | None = None
        try:
            while True:
                with self._lock:
                    if call is not None:
                        if call.ended:
                            return
                        call.ended = True
                        self._end()
                    if not self._waiting:
                        return
                    call = self._waiting.popleft()
                    call.runner = runner
                call.make(self._run)
        finally:
            runner.set_result(None)

    def _end(self) -> None:
        self._unended -= 1
        if not self._unended:
            self._all_ended.set()
