from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from repositories import pool
from repositories.pool import ConnectionPool
from repositories.ports import Database, TransactionKind
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import TransactionLimits
from tests.contract.repositories.harness import FakeHarness, Harness, PostgresHarness
from tests.support.app_database import AppDatabase
from tests.support.waiting import LONG_SECONDS


@pytest.fixture
def postgres_database(app_database: AppDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresDatabase]:
    """PostgreSQL, whose transactions may wait and pause for as long as a busy machine makes them."""
    monkeypatch.setattr(pool, "CONNECT_TIMEOUT_SECONDS", int(LONG_SECONDS))
    limits = dict.fromkeys(TransactionKind, TransactionLimits(LONG_SECONDS, LONG_SECONDS, LONG_SECONDS))
    connections = ConnectionPool(app_database.url, 10, LONG_SECONDS, app_database.password)
    with closing(PostgresDatabase(connections, limits)) as database:
        yield database


@pytest.fixture(params=["fake", "postgres"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "fake":
        yield FakeHarness()
        return
    database = request.getfixturevalue("postgres_database")
    with closing(psycopg2.connect(request.getfixturevalue("database_url"))) as conn:
        yield PostgresHarness(database, conn)


@pytest.fixture
def database(harness: Harness) -> Database:
    return harness.database
