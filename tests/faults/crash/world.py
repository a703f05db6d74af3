"""The world of a process: a database and a broker of its own, a clock for both, and a parent that watches it."""

import faulthandler
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection

from controllers.base import JobController
from local.child import ChildProcess
from local.service_bus.control.client import ControlClient
from local.service_bus.process import EmulatorProcess
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from settings import Settings
from tests.faults.crash.broken_stories import KilledError, LifeError
from tests.faults.crash.host import Host
from tests.faults.crash.points import Points
from tests.faults.crash.shared import SHARED
from tests.support.emptying import EMPTY
from tests.support.pooler import end_sessions

_LIFE_SECONDS = 300
_START_SECONDS = 300
"""Many worlds begin at once."""

JOB_EVENTS = "job-events"
"""A topic without subscriptions: it takes messages, and keeps none."""

_AUDIT = Path(__file__).with_name("audit.sql").read_text()
# A clock that can be moved on: the functions of this schema are found before those of pg_catalog. A session reads how
# far ahead it is when it begins, so time passes between two lives and never during one.
_CLOCK = """
    CREATE SCHEMA world;
    CREATE FUNCTION world.now() RETURNS timestamptz LANGUAGE sql STABLE AS
        $$ SELECT pg_catalog.now() + current_setting('world.ahead')::interval $$;
    CREATE FUNCTION world.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        $$ SELECT pg_catalog.clock_timestamp() + current_setting('world.ahead')::interval $$
"""


@dataclass(frozen=True)
class Subject:
    """What the processes of a world run.

    Attributes:
        controller: their job type.
        size: how many tasks its job has.
        environment: settings besides the addresses.
    """

    controller: type[JobController[Any]]
    size: int
    environment: Mapping[str, str] = field(default_factory=dict)


class World:
    """A place where processes live and die, one at a time.

    Args:
        server_url: the PostgreSQL server, `postgresql://...` without a database.
        name: of its database, which is made.
        host: makes a process the application under test.
        life_seconds: how long a process may live.
        app_url: where the processes reach the server, if that is not `server_url` but a PgBouncer before it.

    Attributes:
        shared: memory that the processes share.
        emulator: the broker.
        rows: a connection to the database.
        passed_seconds: how much time passed since the last reset.
        ahead_seconds: how far the clocks of both are ahead.
    """

    def __init__(
        self,
        server_url: str,
        name: str,
        host: type[Host] = Host,
        life_seconds: float = _LIFE_SECONDS,
        app_url: str | None = None,
    ) -> None:
        self.shared = SHARED
        self._host = host
        self._life_seconds = life_seconds
        child = ChildProcess.start("local.service_bus", ("--port", "0", "--http-port", "0"), _START_SECONDS)
        self.emulator = EmulatorProcess(child)
        self.emulator.control.create_topic(JOB_EVENTS)
        # Each process opens it for itself: to create one takes longer than to fork.
        self._unopened = ControlClient(self.emulator.http_port)
        self.database_url = f"{server_url}/{name}"
        self._app_database_url = f"{app_url or server_url}/{name}"
        self._environment = {
            "DATABASE_URL": self._app_database_url,
            "ServiceBusConnection": self.emulator.connection_string,
            # One batch at a time, so that chance does not decide which tasks are delivered together.
            "DISPATCH_PARALLEL": "1",
        }
        self.passed_seconds = 0.0
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115 - open as long as the world
        self._administrator = _connect(f"{server_url}/postgres")
        self._name = sql.Identifier(name)
        self.ahead_seconds = 0.0
        self.rows = self._create_database()

    def reset(self) -> None:
        """Deletes all rows and messages; the clock goes on."""
        self.execute(EMPTY)
        self.emulator.control.clear_faults()
        self.emulator.control.restart(lose_messages=True)
        self.shared.reset()
        self.passed_seconds = 0.0
        self._log.seek(0)
        self._log.truncate()

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Runs a statement; returns its rows, if it has any."""
        with self.rows.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def let_pass(self, seconds: float) -> None:
        """Lets time pass for PostgreSQL and for the broker while no process lives."""
        self._set_clock(self.ahead_seconds + seconds)
        self.passed_seconds += seconds
        self.emulator.control.let_pass(seconds)

    def live(self, subject: Subject, act: Callable[[Host], None], points: Points) -> bool:
        """Lets a process live until its act is over; returns whether it was killed before, at one of the points.

        Raises:
            LifeError: it ended with an error.
            KilledError: it did not end by itself.
        """
        pid = os.fork()
        if pid == 0:
            self._be(subject, act, points)
        status = _wait(pid, self._life_seconds)
        if status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        if status is None or os.WIFSIGNALED(status):
            raise KilledError("a process hangs" if status is None else f"a process died of {status}", self.log())
        if status != 0:
            raise LifeError(f"a process ended with {status}", self.log())
        return False

    def log(self) -> str:
        """All that processes have logged since the last reset."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _be(self, subject: Subject, act: Callable[[Host], None], points: Points) -> None:
        """The child's whole life; it exits without cleaning up."""
        try:
            os.dup2(self._log.fileno(), 2)
            faulthandler.enable()  # SIGABRT tells in the log what each thread waits for
            logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(threadName)s %(name)s: %(message)s")
            for name in ("azure", "httpx"):
                logging.getLogger(name).setLevel(logging.ERROR)
            os.environ.update(self._environment, **subject.environment)
            settings = Settings.from_environment()
            act(self._host(settings, subject.controller, self._unopened, points, self.shared, subject.size))
        except BaseException:  # noqa: BLE001 - the parent gets it from the log
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    def _create_database(self) -> connection:
        with self._administrator.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(self._name))
            statement = sql.SQL("ALTER DATABASE {} SET search_path = world, pg_catalog, public")
            cursor.execute(statement.format(self._name))
        self._set_clock(0)
        rows = _connect(self.database_url)
        with rows.cursor() as cursor:
            cursor.execute(_CLOCK)
        database = PostgresDatabase(ConnectionPool(self.database_url, size=2))
        migrations.apply(database, self.database_url)
        database.close()
        with rows.cursor() as cursor:
            cursor.execute(_AUDIT)
        return rows

    def _set_clock(self, ahead_seconds: float) -> None:
        self.ahead_seconds = ahead_seconds
        with self._administrator.cursor() as cursor:
            statement = sql.SQL("ALTER DATABASE {} SET world.ahead = {}")
            cursor.execute(statement.format(self._name, sql.Literal(f"{ahead_seconds:f} s")))
        if self._app_database_url != self.database_url:
            end_sessions(self._app_database_url)


def _connect(url: str) -> connection:
    conn = psycopg2.connect(url)
    conn.autocommit = True
    return conn


def _wait(pid: int, seconds: float) -> int | None:
    """The exit status of a child; None when it had to be killed."""
    ends = select.poll()
    handle = os.pidfd_open(pid)
    ends.register(handle, select.POLLIN)
    try:
        in_time = bool(ends.poll(seconds * 1000))
        if not in_time:
            os.kill(pid, signal.SIGABRT)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(handle)
    return status if in_time else None
