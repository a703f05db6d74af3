"""Starts and stops a host from Python, as a child process."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local.functions_host.errors import HostStartError

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
# The host's own grace is 30 s; then it kills its workers and ends.
_STOP_SECONDS = 45.0


class HostProcess:
    """A running host; it ends with this process, however that ends.

    Attributes:
        http_port: where it listens, on 127.0.0.1.
        pid: its process id.
        base_url: ``http://127.0.0.1:<port>``, without the route prefix.
    """

    def __init__(self, process: subprocess.Popen[bytes], http_port: int) -> None:
        self._process = process
        self.http_port = http_port
        self.pid = process.pid
        self.base_url = f"http://127.0.0.1:{http_port}"

    @classmethod
    def start(
        cls,
        app_dir: Path,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        batch_concurrency: int = 2,
    ) -> "HostProcess":
        """Start a host and wait until it serves.

        Args:
            app_dir: the function app.
            port: the HTTP port, 0 for a free one.
            env: settings on top of this process's environment.
            log_file: where its log is appended; thrown away without one.
            batch_concurrency: concurrent invocations of a batch function.

        Raises:
            HostStartError: it did not come up within 60 seconds; the message has what it logged.
        """
        command = [sys.executable, "-m", "local.functions_host", "--exit-with-parent"]
        command += ["--app-dir", str(app_dir.resolve()), "--port", str(port)]
        command += ["--batch-concurrency", str(batch_concurrency)]
        with log_file.open("a+b") if log_file else tempfile.TemporaryFile() as log:
            begin = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            line = _first_line(process)
            if not line:
                _kill(process)
                raise HostStartError(f"the functions host did not come up:\n{_text(log, begin)}")
        return cls(process, json.loads(line)["http_port"])

    def stop(self) -> None:
        """Stop in order: running invocations have 30 seconds to end. A second call does nothing."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        _close(self._process)

    def kill(self) -> None:
        """SIGKILL the host; its workers end by themselves."""
        _kill(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The line that says it is ready, empty if it ended or took too long."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    assert process.stdout
    threading.Thread(target=lambda out: lines.put(out.readline()), args=(process.stdout,), daemon=True).start()
    try:
        return lines.get(timeout=_START_SECONDS)
    except queue.Empty:
        return b""


def _text(log: IO[bytes], begin: int) -> str:
    log.seek(begin)
    return log.read().decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe
        pipe.close()
