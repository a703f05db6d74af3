"""The servers of a benchmark, and a database for each run."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg2
from psycopg2 import sql

from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_TEMPLATE = "template_of_the_app"


class Databases:
    """Gives each run a database of its own on one server, and drops it afterwards."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._url = postgres.url("postgres")
        self._postgres = postgres
        self._numbers = count(1)
        url = postgres.url(_TEMPLATE)
        with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
            migrations.apply(database, url)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Gives the URL of a database with the tables of the app."""
        with self._fresh(_TEMPLATE) as url:
            yield url

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Gives the URL of a database without tables."""
        with self._fresh("template1") as url:
            yield url

    @contextmanager
    def _fresh(self, template: str) -> Iterator[str]:
        name = f"run_{next(self._numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template)
        self._execute(sql.SQL("CHECKPOINT"))  # no run pays for what an earlier one has left to be written
        try:
            yield self._postgres.url(name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        with closing(psycopg2.connect(self._url)) as conn:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(statement.format(*map(sql.Identifier, names)))


@contextmanager
def postgres_server() -> Iterator[Databases]:
    """Runs a durable PostgreSQL for a block, in a directory that is deleted at its end."""
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-bench-") as directory,
        EmbeddedPostgres.start(Path(directory, "data")) as postgres,
    ):
        yield Databases(postgres)
