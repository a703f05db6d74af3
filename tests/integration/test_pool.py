import errno
import os
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from datetime import UTC
from socket import socket
from threading import Barrier, Event, Lock

import psycopg2
import pytest
from psycopg2.extensions import connection

from core.errors import ConfigurationError, DatabaseUnavailableError, PoolTimeoutError
from repositories import pool as pool_module
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from repositories.sql_errors import connecting

NewPool = Callable[..., ConnectionPool]


@pytest.fixture
def new_pool(database_url: str) -> Iterator[NewPool]:
    with ExitStack() as opened:

        def build(size: int, wait_seconds: float = 120.0) -> ConnectionPool:
            return opened.enter_context(closing(ConnectionPool(database_url, size, wait_seconds)))

        yield build


@pytest.fixture
def terminate(database_url: str) -> Callable[[int], None]:
    """Terminates a backend, as an administrator or a failover would, and waits for its end."""

    def end(pid: int) -> None:
        with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 120000)", (pid,))
            assert cursor.fetchone() == (True,)

    return end


def test_times_are_in_utc_whatever_the_zone_of_the_session(database_url: str) -> None:
    database = PostgresDatabase(ConnectionPool(f"{database_url}?options=-c%20TimeZone%3DAsia/Kolkata", size=1))
    with closing(database), database.transaction() as work:
        row = work.repository(lambda rows: rows).one(
            "SELECT current_setting('TimeZone') AS zone, '2026-01-02 03:04:05+05:30'::timestamptz AS time,"
            " ARRAY['2026-01-02 03:04:05+05:30'::timestamptz, NULL] AS times, NULL::timestamptz AS nothing"
        )
        now = work.now()
    assert row["zone"] == "Asia/Kolkata"
    assert row["time"].isoformat() == "2026-01-01T21:34:05+00:00"
    assert [time and time.isoformat() for time in row["times"]] == ["2026-01-01T21:34:05+00:00", None]
    assert row["nothing"] is None
    assert now.tzinfo is UTC


def backend(conn: connection) -> int:
    return conn.info.backend_pid


def test_callers_wait_for_a_free_connection(new_pool: NewPool) -> None:
    pool = new_pool(size=2)
    start = Barrier(8)
    lock = Lock()
    two_at_once = Event()
    in_use: set[int] = set()
    most = 0

    def borrow(_: int) -> None:
        nonlocal most
        start.wait()
        for _ in range(20):
            with pool.lend() as conn:
                with lock:
                    assert backend(conn) not in in_use
                    in_use.add(backend(conn))
                    most = max(most, len(in_use))
                    if most == 2:
                        two_at_once.set()
                assert two_at_once.wait(60)
                with conn, conn.cursor() as cursor:
                    cursor.execute("SELECT 1")
                with lock:
                    in_use.remove(backend(conn))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(borrow, range(8)))
    assert most == 2


def test_a_caller_does_not_wait_for_ever(new_pool: NewPool) -> None:
    pool = new_pool(size=1, wait_seconds=0.05)
    with pool.lend(), pytest.raises(PoolTimeoutError, match="all 1 are in use"), pool.lend():
        pass
    with pool.lend() as conn:
        assert not conn.closed


def test_the_connection_used_last_is_lent_first(new_pool: NewPool) -> None:
    pool = new_pool(size=2)
    with pool.lend() as first, pool.lend() as second:
        pids = [backend(first), backend(second)]
    with pool.lend() as conn:
        assert backend(conn) == pids[0]


def test_a_connection_that_died_while_in_use_is_replaced(new_pool: NewPool, terminate: Callable[[int], None]) -> None:
    pool = new_pool(size=1)
    with pool.lend() as conn:
        pid = backend(conn)
    database = PostgresDatabase(pool)
    with suppress(DatabaseUnavailableError), database.transaction() as work:
        terminate(pid)
        work.now()
        raise AssertionError("the connection still works")
    with database.transaction() as work:
        assert work.now().tzinfo is not None


def test_a_connection_that_died_while_idle_is_replaced_before_it_is_used(
    new_pool: NewPool, terminate: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_CHECK_AFTER_IDLE_SECONDS", 0.0)
    pool = new_pool(size=1)
    with pool.lend() as conn:
        pid = backend(conn)
    with pool.lend() as conn:
        assert backend(conn) == pid
    terminate(pid)
    with pool.lend() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
        conn.rollback()


def test_after_a_failover_one_caller_meets_a_dead_connection_and_the_next_none(
    new_pool: NewPool, terminate: Callable[[int], None]
) -> None:
    pool = new_pool(size=3)
    with pool.lend() as first, pool.lend() as second, pool.lend() as third:
        pids = [backend(conn) for conn in (first, second, third)]
    for pid in pids:
        terminate(pid)
    database = PostgresDatabase(pool)
    with pytest.raises(DatabaseUnavailableError), database.transaction() as work:
        work.now()
    for _ in range(3):
        with database.transaction() as work:
            assert work.now().tzinfo is not None


def test_a_connection_that_is_returned_in_a_transaction_is_not_lent_again(new_pool: NewPool) -> None:
    pool = new_pool(size=1)
    with pool.lend() as conn, conn.cursor() as cursor:
        cursor.execute("BEGIN")
        pid = backend(conn)
    assert conn.closed
    with pool.lend() as conn:
        assert backend(conn) != pid


def test_closing_ends_idle_connections_now_and_lent_ones_when_they_are_returned(new_pool: NewPool) -> None:
    pool = new_pool(size=2)
    with pool.lend() as lent:
        with pool.lend() as idle:
            pass
        pool.close()
        assert idle.closed
        assert not lent.closed
    assert lent.closed


def test_an_unreachable_server_costs_no_permit() -> None:
    with socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        pool = ConnectionPool(f"postgresql://postgres@127.0.0.1:{port}/x", size=1, wait_seconds=0.05)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError, match="cannot connect") as caught, pool.lend():
                pass
            assert "Connection refused" in str(caught.value)
            assert not isinstance(caught.value, PoolTimeoutError)


def test_a_process_without_a_descriptor_for_a_connection_has_an_outage(
    new_pool: NewPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    pool = new_pool(size=1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", fail)
        with pytest.raises(DatabaseUnavailableError, match="PostgreSQL: Too many open files"), pool.lend():
            pass
    with pool.lend() as conn:
        assert not conn.closed


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:x@pssst@127.0.0.1/db",
        "postgresql://postgres:pssst",
        "postgresql://127.0.0.1:1/pssst",
        "postgresql://127.0.0.1:1/db?sslmode=pssst",
        "postgresql://127.0.0.1:1/db?connect_timeout=pssst",
    ],
)
def test_what_libpq_repeats_of_a_connection_string_is_not_shown(url: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot connect") as caught, ConnectionPool(url, size=1).lend():
        pass
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("password", ["x%pssst", "x%ffpssst"])
def test_a_connection_string_that_libpq_cannot_read_is_an_error_of_the_configuration(password: str) -> None:
    pool = ConnectionPool(f"postgresql://postgres:{password}@127.0.0.1/db", size=1)
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught, pool.lend():
        pass
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


def test_the_reason_of_a_failed_connection_is_shown_without_names() -> None:
    text = 'connection to server at "h", port 1 failed: FATAL:  no entry for host "1.2.3.4", user "u", no encryption\n'
    with pytest.raises(DatabaseUnavailableError) as caught, connecting():
        raise psycopg2.OperationalError(text)
    assert str(caught.value) == "cannot connect to PostgreSQL: FATAL:  no entry for host, no encryption"
