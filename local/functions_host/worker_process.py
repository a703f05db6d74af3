"""The host's side of one worker process."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO, cast

from local.functions_host.errors import AppLoadError, FunctionTimeoutError, WorkerLostError
from local.functions_host.protocol import Channel, Completed, Invoke, LoadFailed, Ready, Stop

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 30.0


class WorkerProcess:
    """Starts a worker process and sends invocations to it.

    Args:
        app_dir: the function app, an absolute path.
        on_exit: called once, in this object's thread, after the process has ended and its invocations have failed.
    """

    def __init__(self, app_dir: Path, on_exit: Callable[["WorkerProcess"], None]) -> None:
        self.ready: Future[Ready] = Future()
        self._on_exit = on_exit
        self._pending: dict[str, Future[Completed]] = {}
        self._lock = threading.Lock()
        self._timed_out: dict[str, FunctionTimeoutError] = {}
        self._lost = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.functions_host.worker_main", str(app_dir)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._channel = Channel(cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin))
        self._reader = threading.Thread(target=self._read, name=f"worker-{self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once the worker accepts no more invocations; ``on_exit`` is called after that."""
        return not self._lost

    @property
    def load(self) -> int:
        """The number of invocations in progress."""
        return len(self._pending)

    def submit(self, invoke: Invoke) -> Future[Completed]:
        """Send an invocation; its future raises WorkerLostError if the process ends first."""
        future: Future[Completed] = Future()
        with self._lock:
            if self._lost:
                raise WorkerLostError(f"worker process {self.pid} has ended")
            self._pending[invoke.invocation_id] = future
        try:
            self._channel.send(invoke)
        except (OSError, ValueError):
            logger.debug("Worker process %s has ended; its reader thread fails the invocation", self.pid)
        return future

    def time_out(self, invocation_id: str, error: FunctionTimeoutError) -> bool:
        """Kill the process if it runs this invocation; False if it does not.

        This invocation then fails with ``error``, the others fail with WorkerLostError.
        """
        with self._lock:
            if invocation_id not in self._pending:
                return False
            self._timed_out[invocation_id] = error
            self._lost = True
        self._process.kill()
        return True

    def terminate(self) -> list[Future[Completed]]:
        """Send SIGTERM, as Azure does, and return the invocations in progress."""
        with self._lock:
            running = list(self._pending.values())
        self._process.terminate()
        return running

    def stop(self) -> None:
        """Tell an idle process to exit, or kill it if it is busy or does not exit in time."""
        try:
            self._channel.send(Stop())
            self._process.wait(_STOP_SECONDS if not self.load else 0)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self._process.kill()
        self._reader.join()

    def _read(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except EOFError:
                break
            if isinstance(message, Completed):
                with self._lock:
                    future = self._pending.pop(message.invocation_id)
                future.set_result(message)
            elif isinstance(message, Ready):
                self.ready.set_result(message)
            elif isinstance(message, LoadFailed):
                self.ready.set_exception(AppLoadError(message.error))
        self._fail_pending()
        self._on_exit(self)

    def _fail_pending(self) -> None:
        code = self._process.wait()
        self._channel.close()
        error = WorkerLostError(f"worker process {self.pid} ended with code {code}")
        if not self.ready.done():
            self.ready.set_exception(error)
        with self._lock:
            self._lost = True
            pending = list(self._pending.items())
            self._pending.clear()
        for invocation_id, future in pending:
            future.set_exception(self._timed_out.get(invocation_id, error))
