"""Follows one run of an isolated task in its child process."""

import json
import logging
import time
from typing import Any

from controllers.run_state import RunState
from core.errors import (
    CheckpointError,
    ContinueLater,
    DatabaseError,
    LockstepError,
    RelayedError,
    RelayedPermanentError,
    ShutdownError,
    TaskCrashedError,
    TaskLeaseLostError,
    TaskMemoryError,
    TaskTimeoutError,
)
from core.retry import TaskPolicy
from engine.process.shutdown import Shutdown
from engine.tasks.cancellation import Cancellation
from engine.tasks.task_channel import TaskCall
from engine.tasks.task_process import TaskProcess

_TICK_SECONDS = 0.2
"""How often a run looks at its timeout, and whether it is still wanted."""

_START_SECONDS = 60.0
"""How long a process may take to start and to import the code of a job type; no part of a timeout."""


class IsolatedRun:
    """One run of a task in a child process.

    Args:
        process: the child process.
        policy: of the type of the task.
        cancellation: of this run.
        shutdown: tells whether the grace time of a shutdown is over.
        state: writes the checkpoints and the progress of this run.

    Attributes:
        has_started: whether the handler was called.
    """

    def __init__(
        self,
        process: TaskProcess,
        policy: TaskPolicy,
        cancellation: Cancellation,
        shutdown: Shutdown,
        state: RunState,
    ) -> None:
        self._process = process
        self._policy = policy
        self._cancellation = cancellation
        self._shutdown = shutdown
        self._state = state
        self._deadline = time.monotonic() + _START_SECONDS
        self._is_told = False
        self.has_started = False

    def follow(self, call: TaskCall) -> dict[str, Any]:
        """Calls the handler, and waits for its answer: a `result`, an `error` or a `continue`.

        Raises:
            ProcessEndedError: the process has ended.
            TaskTimeoutError: the run took longer than the timeout of its task type.
            TaskCrashedError: the process did not start in time.
            ShutdownError: the grace time of a shutdown is over; the outcome of the run must not count.
        """
        self._process.call(call)
        while True:
            message = self._process.receive(_TICK_SECONDS)
            if message is not None:
                if message["kind"] in {"result", "error", "continue"}:
                    return message
                self._take_note(message)
            self._look_around()

    def _take_note(self, message: dict[str, Any]) -> None:
        if message["kind"] == "log":
            _log(message)
        elif message["kind"] in {"checkpoint", "progress"}:
            self._process.answer(message["number"], self._write(message))
        else:
            self.has_started = True
            self._deadline = time.monotonic() + (self._policy.timeout_seconds or float("inf"))

    def _write(self, message: dict[str, Any]) -> LockstepError | None:
        """Writes what the handler keeps; returns the error that the child process must raise."""
        try:
            if message["kind"] == "checkpoint":
                self._state.checkpoint(json.loads(message["state"]))
            else:
                self._state.progress(message["fraction"], message["note"])
        except (TaskLeaseLostError, CheckpointError, DatabaseError) as exc:
            return exc
        return None

    def _look_around(self) -> None:
        if self._shutdown.grace_is_over:
            self._cancellation()  # as if the handler had learned of the shutdown: this attempt is not spent
            raise ShutdownError("this process shuts down")
        if time.monotonic() >= self._deadline:
            if self.has_started and self._policy.timeout_seconds:
                raise TaskTimeoutError(self._policy.timeout_seconds)
            raise TaskCrashedError(f"the child process of the task did not start within {_START_SECONDS:g} s")
        if not self._is_told and self._cancellation.peek():
            self._is_told = True
            self._process.cancel()


def result_of(answer: dict[str, Any], policy: TaskPolicy) -> str:
    """Returns the result in an answer as JSON text.

    Raises:
        RelayedError: what the handler raised.
        TaskMemoryError: the handler needed more memory than its task type allows.
        ContinueLater: the task goes on in another run.
    """
    if answer["kind"] == "result":
        return str(answer["result"])
    if answer["kind"] == "continue":
        raise ContinueLater(json.loads(answer["state"]))
    if answer["out_of_memory"] and policy.max_memory_mib is not None:
        error: Exception = TaskMemoryError(policy.max_memory_mib)
    elif answer["permanent"]:
        error = RelayedPermanentError(answer["type"], answer["message"])
    else:
        error = RelayedError(answer["type"], answer["message"])
    error.add_note(f"in its child process:\n{answer['trace']}")
    raise error


def crash(how: str, policy: TaskPolicy) -> TaskCrashedError:
    """Returns the error of a process that has ended, and says how."""
    limit = ""
    if policy.max_memory_mib is not None:
        limit = f"; its max_memory_mib is {policy.max_memory_mib:,} MiB"
    return TaskCrashedError(f"the child process of the task has ended: {how}{limit}")


def _log(message: dict[str, Any]) -> None:
    """Logs a line of the child process, under the task that it ran."""
    logger = logging.getLogger(message["name"])
    if logger.isEnabledFor(message["level"]):
        logger.log(message["level"], "task %s: %s", message["task_id"], message["text"])
