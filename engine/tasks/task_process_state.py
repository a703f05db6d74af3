"""The checkpoint and the progress of an isolated task, as its child process sees them: its worker writes them."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from controllers.run_state import PROGRESS_SECONDS, RunState, checkpoint_text
from core.errors import CheckpointError, DatabaseError, TaskLeaseLostError
from core.telemetry import Telemetry
from engine.tasks.task_channel import TaskCall, TaskChannel

_MAX_NOTE = 1024 * 1024
"""Of a note that is sent: far more than its row keeps, so that the worker finds the secrets in it before it cuts it."""


class RelayedTrace(Telemetry):
    """The trace that the worker has named; what happens in a child process is told by its worker alone."""

    def __init__(self, traceparent: str | None) -> None:
        self._traceparent = traceparent

    @override
    def traceparent(self) -> str | None:
        return self._traceparent


class WorkerMessages:
    """What the worker sends during one run; safe to use from several threads.

    A cancellation may arrive while a thread waits for an answer, and an answer while another thread asks whether the
    run is cancelled. Each is kept for the thread that needs it.

    Attributes:
        told: whether `is_cancelled` has answered True.
    """

    def __init__(self, channel: TaskChannel, task_id: str) -> None:
        self._channel = channel
        self._task_id = task_id
        self._asking = threading.Lock()
        self._receiving = threading.Lock()
        self._asked = 0
        self._answer: dict[str, Any] = {}
        self._is_cancelled = False
        self._has_ended = False
        self.told = False

    def is_cancelled(self) -> bool:
        """Whether the run is no longer wanted."""
        # A thread that receives keeps a cancellation too, so that nobody waits for it here.
        if self._receiving.acquire(blocking=False):
            try:
                while not self._has_ended and self._channel.poll(0):
                    self._receive()
            except (EOFError, OSError):  # the worker has ended
                self._is_cancelled = True
            finally:
                self._receiving.release()
        if self._has_ended:
            return True
        self.told = self.told or self._is_cancelled
        return self._is_cancelled

    def ask(self, kind: str, **fields: Any) -> None:
        """Asks the worker to write something, and waits for its answer.

        Raises:
            TaskLeaseLostError: the lease was lost, the run has ended, or the worker has.
            CheckpointError: the checkpoint cannot be stored.
            DatabaseError: PostgreSQL is unavailable for longer than a lease.
        """
        with self._asking:
            if self._has_ended:
                raise TaskLeaseLostError(self._task_id)
            self._asked += 1
            try:
                self._channel.put(kind, number=self._asked, **fields)
                answer = self._wait_for(self._asked)
            except (EOFError, OSError):
                raise TaskLeaseLostError(self._task_id) from None
        if answer["error"] == TaskLeaseLostError.__name__:
            raise TaskLeaseLostError(self._task_id)
        if answer["error"] == CheckpointError.__name__:
            raise CheckpointError(answer["text"])
        if answer["error"] is not None:
            raise DatabaseError(answer["text"])

    def end(self) -> None:
        """Ends the run: a thread that its handler has left behind neither sends nor receives anything from now on."""
        with self._asking, self._receiving:
            self._has_ended = True

    def _wait_for(self, number: int) -> dict[str, Any]:
        with self._receiving:
            # By its number: an exception, as of a signal, may have ended the wait for the answer before.
            while self._answer.get("number") != number:
                self._receive()
            return self._answer

    def _receive(self) -> None:
        message = self._channel.receive()
        if message["kind"] == "answer":
            self._answer = message
        else:
            self._is_cancelled = self._is_cancelled or message["kind"] == "cancel"


class RelayedRunState(RunState):
    """The state of one run in a child process; safe to use from several threads.

    Args:
        messages: of this run.
        call: gives the last checkpoint and the maximum size of the next ones.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, messages: WorkerMessages, call: TaskCall, clock: Callable[[], float] = time.monotonic) -> None:
        self._messages = messages
        self._max_bytes = call.max_result_bytes
        self._clock = clock
        self._last = call.checkpoint
        self._progress_due = 0.0

    @property
    @override
    def last_checkpoint(self) -> Any:
        return self._last

    @override
    def checkpoint(self, state: Any) -> None:
        text = checkpoint_text(state, self._max_bytes)
        self._messages.ask("checkpoint", state=text)
        self._last = json.loads(text)

    @override
    def progress(self, fraction: float, note: str) -> None:
        if self._clock() < self._progress_due:
            return
        self._progress_due = self._clock() + PROGRESS_SECONDS
        self._messages.ask("progress", fraction=float(fraction), note=note[:_MAX_NOTE])
        # From the answer on: the worker counts from its write, and must not find the next one too early.
        self._progress_due = self._clock() + PROGRESS_SECONDS
