"""Starts and stops an emulator as a child process."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from local.child import ChildProcess, ChildStartError
from local.service_bus.broker.counts import QueueCounts
from local.service_bus.config import DEFAULT_CONFIG
from local.service_bus.control.client import ControlClient

_HOST = "127.0.0.1"
_START_SECONDS = 120
_STOP_SECONDS = 10


class EmulatorError(Exception):
    """The emulator does not start; the message contains its standard error."""


class EmulatorProcess:
    """A running emulator; it also ends at the end of its `with` block and when this process ends.

    Attributes:
        amqp_port: the port of its Service Bus clients.
        http_port: the port of its control interface.
        control: a client of the control interface.
        pid: its process id.
    """

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self.amqp_port: int = child.ready["amqp_port"]
        self.http_port: int = child.ready["http_port"]
        self.control = ControlClient(self.http_port)
        self.pid = child.pid

    @classmethod
    def start(
        cls,
        config: Path | None = None,
        port: int = 0,
        http_port: int = 0,
        log_file: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> "EmulatorProcess":
        """Starts an emulator and waits until it listens.

        Args:
            config: a Config.json; None for the queues of the local stack.
            port: the AMQP port, 0 for a free one.
            http_port: the port of the control interface, 0 for a free one.
            log_file: the log is appended here; None discards it.
            arguments: further command-line arguments.

        Raises:
            EmulatorError: the emulator ends, or does not listen within two minutes.
        """
        options = ["--config", str(config or DEFAULT_CONFIG), "--port", str(port), "--http-port", str(http_port)]
        try:
            return cls(ChildProcess.start("local.service_bus", [*options, *arguments], _START_SECONDS, log_file))
        except ChildStartError as exc:
            raise EmulatorError(f"The Service Bus emulator does not start: {exc}") from exc

    @property
    def connection_string(self) -> str:
        """The connection string for clients; the key is that of Microsoft's emulator, and is not checked."""
        return (
            f"Endpoint=sb://{_HOST}:{self.amqp_port};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )

    @property
    def management_url(self) -> str:
        """Where the SDK's management client counts messages; the port is that of the control interface."""
        return f"http://{_HOST}:{self.http_port}"

    def queues(self) -> list[QueueCounts]:
        """Returns the message counts of every queue.

        Raises:
            ControlError: the emulator does not answer.
        """
        return self.control.queues()

    def stop(self) -> None:
        """Stops the emulator, or kills it after 10 seconds; a second call does nothing."""
        self.control.close()
        self._child.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Kills the emulator, to simulate a crash; without `--data` its messages are lost."""
        self.control.close()
        self._child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
