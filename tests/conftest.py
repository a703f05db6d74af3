"""A real PostgreSQL and a real AMQP socket for every test that asks, and who runs beside whom."""

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import psycopg2
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from tests.support.emptying import emptying

_ROOT = Path(__file__).parents[1]
# They take the usual ports where these are free, so only one runs at a time.
_ON_USUAL_PORTS = {"tests/e2e/test_local_commands.py"}
# They do nothing but compute; these do little but wait for locks to end.
_COMPUTE = (
    "tests/faults/test_mutations.py",
    "tests/faults/test_engine_model.py",
    "tests/faults/test_dispatch_model.py",
    "tests/faults/test_work_model.py",
)
_WAIT = "tests/contract/service_bus/"
_ONE_BY_ONE = {"tests/faults/test_postgres.py"}  # a test takes a minute, the server that they share a second
_EMPTY_ALL = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    {emptying()}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Arranges them so that the cores have work all the time, and no long test is left over in the end.

    Those with a time limit of their own, the longest, begin first. Those that compute come between those that wait.
    """
    computing = [item for item in items if _path(item) in _COMPUTE]
    others = sorted((item for item in items if _path(item) not in _COMPUTE), key=_time_limit, reverse=True)
    waiting = [number for number, item in enumerate(others) if item.nodeid.startswith(_WAIT)] or [len(others)]
    for number, item in reversed(list(enumerate(computing))):
        others.insert(waiting[number * len(waiting) // len(computing)], item)
    items[:] = others


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Arranges the tests for workers that run side by side."""
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # the library has no types
    """Sends tests that share a fixture of their module, or a port, to one worker; the others one by one."""

    def add_node_collection(self, node: WorkerController, collection: list[str]) -> None:
        alike = [nodeid for nodeid, times in Counter(collection).items() if times > 1]
        if alike:  # one of each would run, and nobody would miss the others
            raise pytest.UsageError(f"every test needs an id of its own; there are several of {', '.join(alike)}")
        super().add_node_collection(node, collection)

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        return path if _shares(path) else nodeid


@cache
def _shares(path: str) -> bool:
    if path in _ONE_BY_ONE:
        return False
    return path in _ON_USUAL_PORTS or 'scope="module"' in (_ROOT / path).read_text()


def _path(item: pytest.Item) -> str:
    return item.nodeid.split("::", 1)[0]


def _time_limit(item: pytest.Item) -> float:
    """In seconds, 0 where a test has none of its own."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for the whole run of a worker."""
    # Not under pytest's directories, which only their owner may enter: as root, PostgreSQL is another user.
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as directory,
        EmbeddedPostgres.start(Path(directory, "data"), durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def migrated_database_url(postgres: EmbeddedPostgres) -> str:
    """The one migrated database, which every test finds empty: emptying takes a fifth of the time of a copy."""
    url = postgres.url("migrated")
    with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
        migrations.apply(database, url)
    return url


@pytest.fixture
def database_url(migrated_database_url: str) -> Iterator[str]:
    """A migrated database without rows; its tables stay as they are, and no connection outlives the test."""
    yield migrated_database_url
    _execute(migrated_database_url, _EMPTY_ALL)


@pytest.fixture
def unmigrated_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database without any table."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.url(name)
    _execute(postgres.url("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_database(database_url: str) -> Iterator[PostgresDatabase]:
    """`database_url` behind the port `Database`."""
    with closing(PostgresDatabase(ConnectionPool(database_url, size=10))) as database:
        yield database


@pytest.fixture(scope="session")
def service_bus() -> Iterator[EmulatorProcess]:
    """One emulator for the whole run of a worker; a test leaves no messages behind in the queues that it uses."""
    with EmulatorProcess.start() as emulator:
        yield emulator


def _execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)
