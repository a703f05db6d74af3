"""psycopg2's errors, provoked on the real server, become errors of `core.errors`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from select import select
from threading import Barrier

import psycopg2
import pytest
from psycopg2.extensions import connection

from core.errors import (
    ConstraintViolationError,
    DatabaseError,
    DatabaseUnavailableError,
    RefusedValueError,
    TransactionConflictError,
)
from repositories.postgres import PostgresDatabase
from repositories.sql_errors import translate


@pytest.fixture
def conn(database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(database_url)) as opened:
        yield opened


def error_of(conn: connection, statement: str) -> DatabaseError:
    """The error of `core.errors` with which the statement fails."""
    with pytest.raises(psycopg2.Error) as caught, conn.cursor() as cursor:
        cursor.execute(statement)
    return translate(caught.value)


def test_a_broken_check_is_named(conn: connection) -> None:
    error = error_of(conn, "INSERT INTO jobs (job_id, job_type, parameters, total_stages) VALUES ('x', 'x', '{}', 1)")
    assert isinstance(error, ConstraintViolationError)
    assert error.constraint == "jobs_job_id_check"
    assert not error.retryable


def test_a_broken_key_is_named(conn: connection) -> None:
    error = error_of(conn, "INSERT INTO ingested_rows VALUES ('x', 0, 0, '{}'), ('x', 0, 0, '{}')")
    assert isinstance(error, ConstraintViolationError)
    assert error.constraint == "ingested_rows_pkey"


def test_a_missing_value_breaks_a_constraint_without_a_name(conn: connection) -> None:
    error = error_of(conn, "INSERT INTO ingested_rows VALUES ('x', 0, 0, NULL)")
    assert isinstance(error, ConstraintViolationError)
    assert error.constraint == ""


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT make_interval(secs => 1e18)",
        "SELECT 1 / 0",
        "SELECT '{'::jsonb",
        "INSERT INTO ingested_rows VALUES ('x', 0, 0, NULL)",
        "DO $$ BEGIN RAISE EXCEPTION 'as a trigger does'; END $$",
    ],
)
def test_a_value_that_the_server_refuses_is_told_from_a_wrong_statement(conn: connection, statement: str) -> None:
    error = error_of(conn, statement)
    assert isinstance(error, RefusedValueError)
    assert not error.retryable


def test_a_time_that_python_cannot_hold_is_a_refused_value(postgres_database: PostgresDatabase) -> None:
    with postgres_database.transaction() as work, pytest.raises(RefusedValueError, match="cannot be read"):
        work.repository(lambda rows: rows).all("SELECT '33000-01-01'::timestamptz")


def test_a_wrong_statement_is_not_retryable(conn: connection) -> None:
    error = error_of(conn, "SELECT * FROM no_such_table")
    assert type(error) is DatabaseError
    assert not error.retryable
    assert "no_such_table" in str(error)


def test_a_lost_connection_is_retryable(conn: connection, database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 120000)", (conn.info.backend_pid,))
        assert cursor.fetchone() == (True,)
    error = error_of(conn, "SELECT 1")
    assert isinstance(error, DatabaseUnavailableError)
    assert error.retryable


def test_a_closed_connection_is_retryable(conn: connection) -> None:
    conn.close()
    with pytest.raises(psycopg2.Error) as caught:
        conn.cursor()
    assert isinstance(translate(caught.value), DatabaseUnavailableError)


def test_a_statement_that_is_cut_off_by_a_shutdown_is_retryable(conn: connection) -> None:
    error = error_of(conn, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert isinstance(error, DatabaseUnavailableError)


@pytest.mark.parametrize(
    "condition",
    [
        "disk_full",
        "too_many_connections",
        "out_of_memory",
        "io_error",
        "cannot_connect_now",
        "read_only_sql_transaction",
    ],
)
def test_a_statement_that_a_server_without_resources_refuses_is_retryable(conn: connection, condition: str) -> None:
    error = error_of(conn, f"DO $$ BEGIN RAISE EXCEPTION 'in need' USING ERRCODE = '{condition}'; END $$")
    assert isinstance(error, DatabaseUnavailableError)
    assert error.retryable


def test_a_transaction_that_the_server_gives_up_on_is_retryable(conn: connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = 1")  # of this very transaction
    select([conn], [], [], 120)  # the server says why it closes the connection
    error = error_of(conn, "SELECT 1")
    assert isinstance(error, DatabaseUnavailableError)


def test_a_lock_that_is_not_granted_is_a_conflict(conn: connection, database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE jobs")
        error = error_of(conn, "LOCK TABLE jobs NOWAIT")
    assert isinstance(error, TransactionConflictError)
    assert error.retryable


def test_of_two_in_a_deadlock_one_gets_a_conflict(database_url: str) -> None:
    both_hold_one = Barrier(2)

    def take(order: tuple[str, str]) -> DatabaseError | None:
        with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '10ms'")
            cursor.execute(f"LOCK TABLE {order[0]}")
            both_hold_one.wait()
            try:
                cursor.execute(f"LOCK TABLE {order[1]}")
            except psycopg2.Error as exc:
                return translate(exc)
            return None

    with ThreadPoolExecutor(2) as threads:
        errors = [error for error in threads.map(take, [("jobs", "tasks"), ("tasks", "jobs")]) if error is not None]
    assert [type(error) for error in errors] == [TransactionConflictError]
