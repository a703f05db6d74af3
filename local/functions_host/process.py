"""Starts and stops a Functions host as a child process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from local.child import ChildProcess, ChildStartError
from local.functions_host.errors import HostStartError

_START_SECONDS = 200.0
# The host waits 30 s for invocations, 10 s more for busy workers and 30 s for an idle one; then it kills them and ends.
_STOP_SECONDS = 120.0


class HostProcess:
    """A running host; it ends when this process ends, even by SIGKILL.

    Attributes:
        http_port: its port on 127.0.0.1.
        pid: its process id.
        base_url: ``http://127.0.0.1:<port>``, without the route prefix.
    """

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self.http_port: int = child.ready["http_port"]
        self.pid = child.pid
        self.base_url = f"http://127.0.0.1:{self.http_port}"

    @classmethod
    def start(
        cls,
        app_dir: Path,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        batch_concurrency: int = 2,
        arguments: Sequence[str] = (),
    ) -> "HostProcess":
        """Start a host and wait until it answers requests.

        Args:
            app_dir: the directory of function_app.py.
            port: the HTTP port, 0 for a free one.
            env: settings added to this process's environment.
            log_file: the log is appended here; None discards it.
            batch_concurrency: concurrent invocations of a batch function.
            arguments: further command-line arguments.

        Raises:
            HostStartError: the host ended, or was not ready within 200 seconds; the message contains its log.
        """
        options = ["--app-dir", str(app_dir.resolve()), "--port", str(port)]
        options += ["--batch-concurrency", str(batch_concurrency), *arguments]
        try:
            return cls(ChildProcess.start("local.functions_host", options, _START_SECONDS, log_file, env))
        except ChildStartError as exc:
            raise HostStartError(f"the Functions host did not start:\n{exc}") from exc

    def stop(self) -> None:
        """Stop the host; invocations have 30 s to end, and 10 s more after SIGTERM. A second call does nothing."""
        self._child.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Kill the host with SIGKILL; its workers then end themselves."""
        self._child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
