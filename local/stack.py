"""The local stack: PostgreSQL, Service Bus and the Functions host as child processes of this one."""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.functions_host.process import HostProcess
from local.ports import is_free
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]

POSTGRES_PORT = 5432
AMQP_PORT = 5672
EMULATOR_HTTP_PORT = 5300
"""The usual ports, those of Microsoft's emulator among them; local.settings.json.example has them."""
_FUNCTIONS_PORT = 7071
"""That of func start."""
_FUNCTION_THREADS = "32"
"""As in local.settings.json.example: HTTP shall not wait behind invocations that wait for a service."""


class StackInUseError(Exception):
    """Another local stack runs on the same state directory."""


@dataclass(frozen=True)
class Stack:
    """Where the parts of a running stack are.

    Attributes:
        base_url: of the Functions host.
        database_url: of PostgreSQL.
        service_bus: the connection string of Service Bus.
        log_file: of the Functions host.
        host: the Functions host.
    """

    base_url: str
    database_url: str
    service_bus: str
    log_file: Path
    host: HostProcess


@contextmanager
def running_stack(
    state_dir: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Stack]:
    """Runs the stack for the length of a block; afterwards no process is left behind.

    Args:
        state_dir: holds the database and the logs.
        say: told about each part as it comes up.
        environment: `DATABASE_URL` and `ServiceBusConnection` in it replace the embedded parts.

    Raises:
        StackInUseError: another stack runs on this directory.
        EmbeddedPostgresError, EmulatorError, HostStartError: a part does not come up.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        parts.enter_context(_lock(state_dir))
        database_url = environment.get("DATABASE_URL") or _postgres(parts, state_dir)
        say(f"PostgreSQL     {without_password(database_url)}")
        service_bus = environment.get("ServiceBusConnection") or _emulator(parts, state_dir)
        say(f"Service Bus    {service_bus.split(';')[0].removeprefix('Endpoint=')}")
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
                    "ServiceBusConnection": service_bus,
                },
                log_file=log_file,
            )
        )
        say(f"Functions      {host.base_url}/api   log: {log_file}")
        yield Stack(host.base_url, database_url, service_bus, log_file, host)


@dataclass(frozen=True)
class Services:
    """What the app needs when something else hosts it: the connection settings of two running services."""

    database_url: str
    service_bus: str


@contextmanager
def running_services(state_dir: Path, postgres_port: int, amqp_port: int, http_port: int) -> Iterator[Services]:
    """Runs PostgreSQL and Service Bus alone for the length of a block; afterwards no process is left behind.

    Args:
        state_dir: holds the database and the logs; the same directory serves `running_stack`.
        postgres_port: of PostgreSQL.
        amqp_port: of Service Bus.
        http_port: of the emulator's /health and /queues.

    Raises:
        StackInUseError: a stack runs on this directory.
        EmbeddedPostgresError, EmulatorError: a part does not come up, or its port is in use.
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
    """A database URL that may be shown."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1@", url)


def _postgres(parts: ExitStack, state_dir: Path) -> str:
    return parts.enter_context(EmbeddedPostgres.start(state_dir / "postgres")).url()


def _emulator(parts: ExitStack, state_dir: Path) -> str:
    emulator = EmulatorProcess.start(
        port=_port(AMQP_PORT), http_port=_port(EMULATOR_HTTP_PORT), log_file=state_dir / "service_bus.log"
    )
    return parts.enter_context(emulator).connection_string


def _port(preferred: int) -> int:
    """The preferred port when it is free, else 0: any free one."""
    if is_free(preferred):
        return preferred
    logger.warning("port %d is in use; another one is taken", preferred)
    return 0


@contextmanager
def _lock(state_dir: Path) -> Iterator[None]:
    """Holds the state directory; the system lets go of it when this process dies."""
    with (state_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StackInUseError(f"another local stack runs on {state_dir}; end it first") from exc
        yield
