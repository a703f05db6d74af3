"""A PostgreSQL for one test, which may crash it, take its connections or fill its disk."""

import signal
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg2
from psycopg2 import sql

from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_BACKENDS = """
    SELECT pg_terminate_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE application_name = 'lockstep' AND pid <> pg_backend_pid()
        ORDER BY random() LIMIT %s
    ) AS chosen
"""


_ALL = 1_000


class FragilePostgres:
    """A server that a test may crash; its port stays the same.

    Attributes:
        server: the running one.
    """

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    @classmethod
    @contextmanager
    def start(cls, parent: Path | None = None) -> Iterator[Self]:
        """Starts a server on a directory of its own, under `parent` if given."""
        # Not under pytest's directories, which only their owner may enter: as root, PostgreSQL is another user.
        with tempfile.TemporaryDirectory(prefix="lockstep-postgres-", dir=parent) as directory:
            postgres = cls(EmbeddedPostgres.start(Path(directory, "data")))
            try:
                yield postgres
            finally:
                postgres.server.stop()

    @contextmanager
    def database(self, tablespace: str = "pg_default") -> Iterator[str]:
        """The URL of a migrated database that exists for the length of a block."""
        name = f"faults_{uuid.uuid4().hex}"
        identifiers = {"name": sql.Identifier(name), "tablespace": sql.Identifier(tablespace)}
        self.execute(sql.SQL("CREATE DATABASE {name} TABLESPACE {tablespace}").format(**identifiers))
        url = self.server.url(name)
        with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
            migrations.apply(database, url)
        try:
            yield url
        finally:
            self.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**identifiers))

    def restart_immediately(self) -> None:
        """Does what ``pg_ctl stop -m immediate`` and ``pg_ctl start`` do: no shutdown checkpoint, then recovery."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.server.pid).send_signal(signal.SIGQUIT)
        self.server.stop()  # waits for its end
        self.start_again()

    def start_again(self) -> None:
        """Starts it, unless it runs."""
        self.server = EmbeddedPostgres.start(self.server.data_dir, port=self.server.port)

    def terminate_backends(self, most: int) -> int:
        """Terminates connections of the app, chosen at random; returns how many."""
        return len(self.execute(_BACKENDS, most))

    @contextmanager
    def without_free_connections(self) -> Iterator[None]:
        """Takes every connection of the server, also those of the app, for the length of a block."""
        url = self.server.url("postgres")
        with ExitStack() as taken, closing(psycopg2.connect(url)) as conn:
            conn.autocommit = True
            with conn.cursor() as cursor:
                ended = True
                while ended:  # the app may have reconnected first
                    _take_free(url, taken)
                    cursor.execute(_BACKENDS, (_ALL,))
                    ended = cursor.rowcount > 0
            yield

    def execute(self, statement: str | sql.Composed, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Runs a statement outside any transaction, as the administrator; returns its rows."""
        with closing(psycopg2.connect(self.server.url("postgres"))) as conn:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else ()


def _take_free(url: str, taken: ExitStack) -> None:
    """Opens connections until the server refuses more."""
    with suppress(psycopg2.OperationalError):
        while True:
            taken.enter_context(closing(psycopg2.connect(url)))
