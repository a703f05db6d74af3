import http.client
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local.service_bus.broker.queue import QueueCounts
from local.service_bus.config import DEFAULT_CONFIG

_ROOT = Path(__file__).parents[2]
_HOST = "127.0.0.1"
_START_SECONDS = 30
_STOP_SECONDS = 10


class EmulatorError(Exception):
    """The emulator does not come up; the message holds what it wrote to standard error."""


class EmulatorProcess:
    """A running emulator, ended by `stop`, by `kill`, at the end of its `with` block, or with this process."""

    def __init__(self, process: subprocess.Popen[bytes], amqp_port: int, http_port: int) -> None:
        self._process = process
        self.amqp_port = amqp_port
        self.http_port = http_port
        self.pid = process.pid

    @classmethod
    def start(
        cls, config: Path | None = None, port: int = 0, http_port: int = 0, log_file: Path | None = None
    ) -> "EmulatorProcess":
        """Starts an emulator and waits until it listens.

        Args:
            config: a Config.json, by default the one with the queues of the local stack.
            port: the AMQP port, 0 for a free one.
            http_port: the port of /health and /queues, 0 for a free one.
            log_file: where its log is appended, by default nowhere.

        Raises:
            EmulatorError: it ends, or does not listen within 30 seconds.
        """
        options = ["--config", str(config or DEFAULT_CONFIG), "--port", str(port), "--http-port", str(http_port)]
        with _open_log(log_file) as log:
            begin = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "local.service_bus", "--exit-with-parent", *options],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            ready = _first_line(process)
            if not ready:
                _end(process)
                log.seek(begin)
                raise EmulatorError(f"The Service Bus emulator does not start: {log.read().decode(errors='replace')}")
        ports = json.loads(ready)
        return cls(process, ports["amqp_port"], ports["http_port"])

    @property
    def connection_string(self) -> str:
        """What the clients take; the key is the one that Microsoft's emulator uses, and any other would do."""
        return (
            f"Endpoint=sb://{_HOST}:{self.amqp_port};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )

    def queues(self) -> list[QueueCounts]:
        """How many messages each queue holds now.

        Raises:
            OSError: the emulator does not answer.
        """
        connection = http.client.HTTPConnection(_HOST, self.http_port, timeout=_STOP_SECONDS)
        try:
            connection.request("GET", "/queues")
            return [QueueCounts(**counts) for counts in json.loads(connection.getresponse().read())]
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends it cleanly, and by force if it does not follow within 10 seconds; a second call does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        _end(self._process)

    def kill(self) -> None:
        """Ends it as a crash would, and all its messages with it."""
        self._process.kill()
        _end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _open_log(log_file: Path | None) -> IO[bytes]:
    return log_file.open("ab+") if log_file else tempfile.TemporaryFile()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The line that tells the ports, empty if the process ends, or is ended for being late."""
    assert process.stdout
    timer = threading.Timer(_START_SECONDS, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()
        timer.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end and closes the pipes."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe
        pipe.close()
