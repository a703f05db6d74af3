"""A Python child process that says in one JSON line on its standard output when it is ready."""

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
    """The child did not become ready; the message is what it wrote to standard error."""


class ChildProcess:
    """A running child. It watches its standard input and ends with this process, however that ends.

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
            module: takes `--exit-with-parent`.
            arguments: its further arguments.
            start_seconds: how long it may take; then it is killed.
            log_file: where its standard error is appended, by default nowhere.
            env: variables on top of this process's environment.

        Raises:
            ChildStartError: it ended, or took too long.
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
        """Ends it with SIGTERM, and by force when it does not follow in time; a second call does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(stop_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        _close(self._process)

    def kill(self) -> None:
        """Ends it with SIGKILL, as a crash would."""
        self._process.kill()
        _close(self._process)


def _first_line(process: subprocess.Popen[bytes], start_seconds: float) -> bytes:
    """The line that says it is ready, empty if the child ends, or is ended for being late."""
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
