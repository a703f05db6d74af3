"""The local stack: runs PostgreSQL, a broker and the Functions host as child processes."""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.azurite import Azurite
from local.functions_host.process import HostProcess
from local.ports import is_free
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]

POSTGRES_PORT = 5432
AMQP_PORT = 5672
EMULATOR_HTTP_PORT = 5300
"""The default ports of PostgreSQL and of Microsoft's emulator, as in local.settings.json.example."""
_FUNCTIONS_PORT = 7071
"""The default port of func start."""
_FUNCTION_THREADS = "32"
"""As in local.settings.json.example: HTTP requests need free threads while other invocations wait for a service."""


class StackInUseError(Exception):
    """Another local stack runs on the same state directory."""


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Attributes:
        base_url: the URL of the Functions host, without `/api`.
        database_url: the `postgresql://` URL.
        service_bus: the connection string of Service Bus; empty with storage queues.
        log_file: the log of the Functions host.
        host: the process of the Functions host.
    """

    base_url: str
    database_url: str
    service_bus: str
    log_file: Path
    host: HostProcess


@dataclass(frozen=True)
class _Broker:
    shown: str
    settings: Mapping[str, str]


@contextmanager
def running_stack(
    state_dir: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
    *,
    storage_queues: bool = False,
) -> Iterator[Stack]:
    """Runs the stack for the length of a block, and then stops all of its processes.

    Args:
        state_dir: the directory of the database and the logs.
        say: called with one line about each part that has started.
        environment: if it sets `DATABASE_URL`, `ServiceBusConnection` or `StorageConnection`, that service is used and
            none is started.
        storage_queues: whether messages travel by queues of Azurite, without Service Bus.

    Raises:
        StackInUseError: another stack runs on this directory.
        EmbeddedPostgresError, EmulatorError, AzuriteError, HostStartError: a part does not start.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        parts.enter_context(_lock(state_dir))
        database_url = environment.get("DATABASE_URL") or _postgres(parts, state_dir)
        say(f"PostgreSQL     {without_password(database_url)}")
        broker = (_storage_queues if storage_queues else _service_bus)(parts, state_dir, environment)
        say(broker.shown)
        log_file = state_dir / "functions.log"
        host = parts.enter_context(
            HostProcess.start(
                ROOT,
                port=_port(_FUNCTIONS_PORT),
                env={
                    "DATA_DIR": environment.get("DATA_DIR") or str(ROOT / "samples"),
                    "PYTHON_THREADPOOL_THREAD_COUNT": _FUNCTION_THREADS,
                    **environment,
                    "DATABASE_URL": database_url,
                    **broker.settings,
                },
                log_file=log_file,
            )
        )
        say(f"Functions      {host.base_url}/api   log: {log_file}")
        yield Stack(host.base_url, database_url, broker.settings["ServiceBusConnection"], log_file, host)


@dataclass(frozen=True)
class Services:
    """The connection settings of a running PostgreSQL and Service Bus, for an app that another host runs."""

    database_url: str
    service_bus: str


@contextmanager
def running_services(state_dir: Path, postgres_port: int, amqp_port: int, http_port: int) -> Iterator[Services]:
    """Runs only PostgreSQL and Service Bus for the length of a block, and then stops both.

    Args:
        state_dir: the directory of the database and the logs, shared with `running_stack`.
        postgres_port: the port of PostgreSQL.
        amqp_port: the AMQP port of Service Bus.
        http_port: the port of the emulator's /health and /queues.

    Raises:
        StackInUseError: another stack runs on this directory.
        EmbeddedPostgresError, EmulatorError: a part does not start, for example because its port is in use.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        parts.enter_context(_lock(state_dir))
        postgres = parts.enter_context(EmbeddedPostgres.start(state_dir / "postgres", port=postgres_port))
        emulator = parts.enter_context(
            EmulatorProcess.start(port=amqp_port, http_port=http_port, log_file=state_dir / "service_bus.log")
        )
        yield Services(postgres.url(), emulator.connection_string)


def without_password(url: str) -> str:
    """Removes the password from a database URL, so that the URL can be printed."""
    # Up to the last @, because a password may hold one that is not percent-encoded. A query may hold a password too.
    shown = re.sub(r"://([^:/?@]*).*@", r"://\1@", url, flags=re.DOTALL).partition("?")[0]
    return shown if re.fullmatch(r"[a-z]+://([^:/@]*@)?[^:/@]*(:\d+)?(/.*)?", shown) else "postgresql://..."


def endpoint(connection_string: str) -> str:
    """Returns the endpoint of a Service Bus connection string, wherever it stands, and never a key."""
    parts = (part.partition("=") for part in connection_string.split(";"))
    return next((value for name, _, value in parts if name.strip().lower() == "endpoint"), "...")


def _postgres(parts: ExitStack, state_dir: Path) -> str:
    return parts.enter_context(EmbeddedPostgres.start(state_dir / "postgres")).url()


def _service_bus(parts: ExitStack, state_dir: Path, environment: Mapping[str, str]) -> _Broker:
    management_url = environment.get("SERVICE_BUS_MANAGEMENT_URL")
    service_bus = environment.get("ServiceBusConnection")
    if not service_bus:
        emulator = _emulator(parts, state_dir)
        service_bus, management_url = emulator.connection_string, management_url or emulator.management_url
    settings = {"ServiceBusConnection": service_bus, "SERVICE_BUS_MANAGEMENT_URL": management_url or ""}
    return _Broker(f"Service Bus    {endpoint(service_bus)}", settings)


def _storage_queues(parts: ExitStack, state_dir: Path, environment: Mapping[str, str]) -> _Broker:
    storage = environment.get("StorageConnection")
    if storage:
        shown = "the account of StorageConnection"
    else:
        azurite = parts.enter_context(Azurite.start(state_dir / "azurite.log"))
        storage, shown = azurite.connection_string, azurite.queue_url
    # Empty settings count as unset, also those of local.settings.json.
    no_service_bus = {"ServiceBusConnection": "", "ServiceBusConnection__fullyQualifiedNamespace": ""}
    return _Broker(f"Storage queues {shown}", {"StorageConnection": storage, **no_service_bus})


def _emulator(parts: ExitStack, state_dir: Path) -> EmulatorProcess:
    emulator = EmulatorProcess.start(
        port=_port(AMQP_PORT), http_port=_port(EMULATOR_HTTP_PORT), log_file=state_dir / "service_bus.log"
    )
    return parts.enter_context(emulator)


def _port(preferred: int) -> int:
    """The preferred port if it is free, otherwise 0, which means any free port."""
    if is_free(preferred):
        return preferred
    logger.warning("port %d is in use; using another port", preferred)
    return 0


@contextmanager
def _lock(state_dir: Path) -> Iterator[None]:
    """Locks the state directory; the operating system releases the lock if this process dies."""
    with (state_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StackInUseError(f"another local stack runs on {state_dir}; stop it first") from exc
        yield
