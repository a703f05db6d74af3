"""A Python child process that prints one JSON line on standard output when it is ready."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).parents[1]


class ChildStartError(Exception):
    """The child did not become ready; the message is its standard error."""


class ChildProcess:
    """A running child. It reads its standard input, and ends when this process ends, even by SIGKILL.

    Attributes:
        pid: its process id.
        ready: the JSON object of its first line.
    """

    def __init__(self, process: subprocess.Popen[bytes], ready: Mapping[str, Any]) -> None:
        self._process = process
        self.pid = process.pid
        self.ready = ready

    @classmethod
    def start(
        cls,
        module: str,
        arguments: Sequence[str],
        start_seconds: float,
        log_file: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> "ChildProcess":
        """Starts `python -m module` and waits until it is ready.

        Args:
            module: it must accept `--exit-with-parent`.
            arguments: further command-line arguments.
            start_seconds: the child is killed when it is not ready after this time.
            log_file: the child's standard error is appended here; None discards it.
            env: environment variables added to those of this process.

        Raises:
            ChildStartError: the child ended, or was not ready in time.
        """
        with log_file.open("ab+") if log_file else tempfile.TemporaryFile() as log:
            begin = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                [sys.executable, "-m", module, "--exit-with-parent", *arguments],
                cwd=_ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            line = _first_line(process, start_seconds)
            if not line:
                process.kill()
                _close(process)
                raise ChildStartError(_text(log, begin))
        return cls(process, json.loads(line))

    def stop(self, stop_seconds: float) -> None:
        """Sends SIGTERM, then SIGKILL after `stop_seconds`; a second call does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(stop_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        _close(self._process)

    def kill(self) -> None:
        """Sends SIGKILL, to simulate a crash."""
        self._process.kill()
        _close(self._process)


def _first_line(process: subprocess.Popen[bytes], start_seconds: float) -> bytes:
    """The line that reports readiness; empty if the child ends first, or is killed at the time limit."""
    assert process.stdout
    timer = threading.Timer(start_seconds, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()
        timer.join()


def _text(log: IO[bytes], begin: int) -> str:
    log.seek(begin)
    return log.read().decode(errors="replace")


def _close(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe
        pipe.close()
