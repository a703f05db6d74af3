"""A real PostgreSQL and a real broker for the tests that use them."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from controllers.registry import Registry
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from tests.support.emptying import EMPTY
from tests.support.pooler import pooled

pytest_plugins = ["tests.support.side_by_side"]

_EMPTY_ALL = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    {EMPTY}
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for all tests of a worker."""
    # Not under pytest's directories, which only their owner may enter: as root, PostgreSQL is another user.
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as directory,
        EmbeddedPostgres.start(Path(directory, "data"), durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def migrated_database_url(postgres: EmbeddedPostgres) -> str:
    """One migrated database, emptied for each test: that takes a fifth of the time of a copy."""
    url = postgres.url("migrated")
    with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
        migrations.apply(database, url, Registry().migrations)
    return url


@pytest.fixture
def database_url(migrated_database_url: str) -> Iterator[str]:
    """A migrated database without rows. A test leaves its tables as they are and closes its connections."""
    yield migrated_database_url
    _execute(migrated_database_url, _EMPTY_ALL)


@pytest.fixture(scope="session")
def _pooled_database_url(migrated_database_url: str) -> Iterator[str]:
    with pooled(migrated_database_url) as url:
        yield url


@pytest.fixture
def app_database_url(database_url: str, _pooled_database_url: str) -> str:
    """The same database, as the app reaches it: directly, or through PgBouncer (`tests/support/pooler.py`)."""
    return _pooled_database_url


@pytest.fixture
def unmigrated_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database without any table."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.url(name)
    _execute(postgres.url("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_database(app_database_url: str) -> Iterator[PostgresDatabase]:
    """`app_database_url` behind the port `Database`."""
    with closing(PostgresDatabase(ConnectionPool(app_database_url, size=10))) as database:
        yield database


@pytest.fixture(scope="session")
def service_bus() -> Iterator[EmulatorProcess]:
    """One emulator for all tests of a worker. A test leaves no messages in the queues that it uses."""
    with EmulatorProcess.start() as emulator:
        yield emulator


def _execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)
