"""A transaction begins in one message with its first statement; one of a single statement ends with it too."""

from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg2
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS

from core.errors import ConstraintViolationError
from repositories.pool import ConnectionPool
from repositories.ports import TransactionKind
from repositories.ports.rows import Rows
from repositories.postgres import PostgresDatabase, PostgresUnitOfWork


@pytest.fixture
def database(database_url: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(ConnectionPool(database_url, size=1))) as opened:
        yield opened


def rows(work: PostgresUnitOfWork) -> Rows:
    return work.repository(lambda rows: rows)


def status(work: PostgresUnitOfWork) -> int:
    return work._rows._cursor.connection.info.transaction_status


def message(work: PostgresUnitOfWork) -> str:
    """What the server got with this statement."""
    return str(rows(work).one("SELECT current_query() AS query")["query"])


def test_the_first_statement_begins_the_transaction(database: PostgresDatabase) -> None:
    with database.transaction() as work:
        first, second = message(work), message(work)
    assert first.startswith("BEGIN;\nSET LOCAL lock_timeout = ")
    assert first.endswith(";\n" + second)


def test_a_transaction_without_a_statement_reaches_no_server(database: PostgresDatabase) -> None:
    with database.transaction() as work:
        assert status(work) == TRANSACTION_STATUS_IDLE


def test_a_statement_that_the_client_refuses_is_no_beginning(database: PostgresDatabase) -> None:
    with database.transaction() as work:
        with suppress(ValueError):
            rows(work).execute("SELECT %(value)s", {"value": "\0"})
        assert status(work) == TRANSACTION_STATUS_IDLE
        assert message(work).startswith("BEGIN;")
        assert status(work) == TRANSACTION_STATUS_INTRANS


def test_a_first_statement_that_fails_leaves_a_connection_that_can_be_used(database: PostgresDatabase) -> None:
    with pytest.raises(Exception, match="division by zero"), database.transaction() as work:
        rows(work).execute("SELECT 1 / 0")
    with database.transaction() as work:
        assert message(work).startswith("BEGIN;")


def test_a_copy_may_be_the_first_statement(database: PostgresDatabase, database_url: str) -> None:
    def copy() -> None:
        with database.transaction() as work:
            assert rows(work).copy("COPY ingested_rows FROM STDIN", ["x\t0\t1\t{}\n"]) == 1
            raise LookupError

    with pytest.raises(LookupError):
        copy()
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT FROM ingested_rows")
        assert cursor.rowcount == 0


_ADD = "INSERT INTO job_waits (job_id) VALUES (%(job_id)s)"
"""Refused, because there is no such job."""


def test_a_transaction_of_one_statement_is_one_message_and_has_its_result(database: PostgresDatabase) -> None:
    with database.transaction(TransactionKind.ONE_STATEMENT) as work:
        query = message(work)
        assert status(work) == TRANSACTION_STATUS_IDLE
        with pytest.raises(AssertionError, match="has ended"):
            message(work)
    assert query.startswith("SET LOCAL lock_timeout = ")
    with database.transaction() as work:
        assert message(work).startswith("BEGIN;")


def test_a_transaction_of_one_statement_is_rolled_back_in_whole(database: PostgresDatabase, database_url: str) -> None:
    with pytest.raises(Exception, match="division"), database.transaction(TransactionKind.ONE_STATEMENT) as work:
        rows(work).execute("CREATE TABLE written (); SELECT 1 / 0")
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT to_regclass('written') IS NULL AS is_gone")
        assert cursor.fetchone() == (True,)


def test_a_statement_whose_result_is_not_needed_travels_with_the_next(database: PostgresDatabase) -> None:
    with database.transaction() as work:
        rows(work).later("SELECT %(value)s", {"value": "100 %"})
        assert status(work) == TRANSACTION_STATUS_IDLE
        query = message(work)
    assert query.startswith("BEGIN;")
    assert "SELECT '100 %';\nSELECT current_query()" in query


def test_it_travels_with_the_commit_and_is_refused_there(database: PostgresDatabase) -> None:
    def add(*, first: bool) -> None:
        with database.transaction() as work:
            if first:
                message(work)
            rows(work).later(_ADD, {"job_id": "x" * 32})

    for first in (True, False):
        with pytest.raises(ConstraintViolationError):
            add(first=first)
        with database.transaction() as work:
            assert message(work).startswith("BEGIN;")
