from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from repositories.ports import Database
from tests.contract.repositories.harness import FakeHarness, Harness, PostgresHarness


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
