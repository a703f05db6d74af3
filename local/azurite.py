"""Azurite, Microsoft's emulator of Azure Storage, as a child process; `make azurite` installs it from npm."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local.ports import HOST, free_port, is_free

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every Azurite, and its key, which Microsoft publishes."""

_INSTALLED = Path(__file__).parents[1] / ".azurite" / "node_modules" / ".bin" / "azurite"
_START_SECONDS = 200.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02


class AzuriteError(Exception):
    """Azurite does not start; the message contains its output."""


def installed(environment: Mapping[str, str] = os.environ) -> str | None:
    """Where Azurite is: as LOCKSTEP_AZURITE says, where `make azurite` installs it, or on the path; None if nowhere."""
    given = environment.get("LOCKSTEP_AZURITE")
    return given or (str(_INSTALLED) if _INSTALLED.exists() else shutil.which("azurite"))


class Azurite:
    """A running Azurite with blobs and queues in memory; the end of its `with` block stops it.

    Attributes:
        blob_url: the URL of the account's blobs.
        queue_url: the URL of the account's queues.
        pid: its process id.
    """

    def __init__(self, process: subprocess.Popen[bytes], scheme: str, ports: tuple[int, int]) -> None:
        self._process = process
        self.pid = process.pid
        self.blob_url, self.queue_url = (f"{scheme}://{HOST}:{port}/{ACCOUNT}" for port in ports)

    @classmethod
    def start(cls, log_file: Path, certificate: Path | None = None, queue_port: int = 0) -> Self:
        """Starts Azurite and waits until it listens.

        Args:
            log_file: its output is written here.
            certificate: PEM with its key, of 127.0.0.1. With it, Azurite speaks https, and also takes bearer tokens,
                whose signature it does not check.
            queue_port: the port of its queues, 0 for a free one.

        Raises:
            AzuriteError: it is not installed, ends, or does not listen within 200 seconds.
        """
        program = installed()
        if program is None:
            raise AzuriteError("Azurite is not installed: make azurite")
        ports = free_port(), queue_port or free_port(), free_port()
        options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        for service, port in zip(("blob", "queue", "table"), ports, strict=True):
            options += [f"--{service}Host", HOST, f"--{service}Port", str(port)]
        if certificate is not None:
            options += ["--cert", str(certificate), "--key", str(certificate), "--oauth", "basic"]
        # It ends with this process, also if that is killed.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with log_file.open("wb") as log:
            process = subprocess.Popen([*guard, program, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _wait(process, ports, log_file)
        return cls(process, "http" if certificate is None else "https", ports[:2])

    @property
    def connection_string(self) -> str:
        """The connection string of the account, with its key."""
        scheme = self.blob_url.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};"
        )

    def stop(self) -> None:
        """Stops it, or kills it after 10 seconds; a second call does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _wait(process: subprocess.Popen[bytes], ports: tuple[int, ...], log_file: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while any(is_free(port) for port in ports):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            process.wait()
            raise AzuriteError(f"Azurite does not start: {log_file.read_text(errors='replace')[-2_000:]}")
        time.sleep(_POLL_SECONDS)
