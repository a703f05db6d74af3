"""A real PostgreSQL and a real broker for the tests that use them."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from psycopg2.errors import ObjectInUse

from controllers.registry import Registry
from local import azurite as azurite_program
from local.azurite import Azurite
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from tests.support.app_database import AppDatabase, chosen_way
from tests.support.emptying import EMPTY
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.side_by_side"]

# How long an example takes says more about the machine than about the code.
settings.register_profile("lockstep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lockstep")

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


@pytest.fixture(scope="session")
def _app_database(postgres: EmbeddedPostgres, migrated_database_url: str) -> Iterator[AppDatabase]:
    with chosen_way()(postgres, migrated_database_url) as reached:
        yield reached


@pytest.fixture
def app_database(
    request: pytest.FixtureRequest, _app_database: AppDatabase, database_url: str
) -> Iterator[AppDatabase]:
    """`database_url` as the app reaches it."""
    _app_database.renew()
    owns_tables = request.node.get_closest_marker("owns_tables") is not None
    with _app_database.as_owner(database_url) if owns_tables else nullcontext():
        yield _app_database


@pytest.fixture
def database_url(migrated_database_url: str) -> Iterator[str]:
    """A migrated database without rows. A test leaves its tables as they are and closes its connections."""
    yield migrated_database_url
    _execute(migrated_database_url, _EMPTY_ALL)


@pytest.fixture
def unmigrated_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database without any table."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.url(name)

    def is_dropped() -> bool:
        try:
            _execute(postgres.url("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')
        except ObjectInUse:  # PostgreSQL gives the sessions that it ends 5 s
            return False
        return True

    wait_until(is_dropped)


@pytest.fixture
def postgres_database(app_database: AppDatabase) -> Iterator[PostgresDatabase]:
    """`database_url` behind the port `Database`."""
    with closing(app_database.database(size=10)) as database:
        yield database


@pytest.fixture(scope="session")
def service_bus() -> Iterator[EmulatorProcess]:
    """One emulator for all tests of a worker. A test leaves no messages in the queues that it uses."""
    with EmulatorProcess.start() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for all tests of a worker. A test takes names of its own, or empties the queues of the app first."""
    require_azurite()
    with Azurite.start(tmp_path_factory.mktemp("azurite") / "log") as running:
        yield running


def require_azurite() -> None:
    """Leaves a test out where Azurite is not installed, unless the environment says that it must be."""
    if azurite_program.installed() is None:
        if os.environ.get("LOCKSTEP_NEEDS_AZURITE"):
            pytest.fail("Azurite is not installed, and LOCKSTEP_NEEDS_AZURITE is set")
        pytest.skip("Azurite is not installed: make azurite")


def _execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)
