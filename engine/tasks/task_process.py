"""A child process of isolated tasks, as its worker sees it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

from core.errors import LockstepError
from engine.tasks.task_channel import TaskCall, TaskChannel

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from engine.tasks.task_process_main import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
"""The Functions worker extends sys.path at run time, and a new interpreter does not know these entries."""

_EXIT_SECONDS = 2.0
"""How long the exit of a process may take after it has closed its end of the channel."""


class ProcessEndedError(Exception):
    """The process has ended, or sends nothing that can be read."""


class TaskProcess:
    """A running child process.

    It is a new interpreter and not a fork, so it has none of the worker's connections, threads and locks. It leads a
    process group: what a handler starts ends with it.

    Raises:
        OSError: the system cannot start a process.
    """

    def __init__(self) -> None:
        mine, other = Pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - its own interpreter runs its own code
                [sys.executable, "-c", _START, str(other.fileno()), str(os.getpid()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                start_new_session=True,
            )
        except BaseException:
            mine.close()
            raise
        finally:
            other.close()
        self._channel = TaskChannel(mine)
        self.process_id = self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def call(self, call: TaskCall) -> None:
        """Asks the process to run a task.

        Raises:
            ProcessEndedError: the process has ended.
        """
        self._put("call", call=vars(call))

    def cancel(self) -> None:
        """Tells the process that its run is no longer wanted.

        Raises:
            ProcessEndedError: the process has ended.
        """
        self._put("cancel")

    def answer(self, number: int, error: LockstepError | None) -> None:
        """Tells the process whether what it asked for is written.

        Raises:
            ProcessEndedError: the process has ended.
        """
        self._put("answer", number=number, error=error and type(error).__name__, text=str(error))

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Returns the next message of the process, or None when there is none after `seconds`.

        Raises:
            ProcessEndedError: the process has ended.
        """
        try:
            if self._channel.poll(seconds):
                return self._channel.receive()
        except (EOFError, OSError, ValueError) as exc:
            raise ProcessEndedError from exc
        # A process that the handler has forked may hold the other end open.
        if self.has_ended and not self._channel.poll(0):
            raise ProcessEndedError
        return None

    def wait(self) -> None:
        """Waits a little for the exit of a process whose end of the channel is closed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)

    def kill(self) -> None:
        """Kills the process and all that it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process_id, signal.SIGKILL)

    def end(self) -> str:
        """Kills the process if it still runs, and frees what it took; returns how it ended."""
        how = self._how_it_ended()
        self.kill()
        self._process.wait()
        self._channel.close()
        return how

    def _put(self, kind: str, **fields: Any) -> None:
        try:
            self._channel.put(kind, **fields)
        except OSError as exc:
            raise ProcessEndedError from exc

    def _how_it_ended(self) -> str:
        code = self._process.poll()
        if code is None:
            return "it closed its connection to the worker"
        if code >= 0:
            return f"it ended with exit code {code}"
        number = -code
        name = next((each.name for each in signal.Signals if each == number), f"number {number}")
        text = f"signal {name} ended it ({signal.strsignal(number)})"
        if number == signal.SIGKILL:
            text += "; the kernel sends this signal when the machine has no memory left"
        return text
