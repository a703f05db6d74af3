"""A server that accepts what it gets and never answers: a suspended one, or a proxy that has lost its server."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_server

import pytest

from core.errors import DatabaseUnavailableError
from repositories import guarded_connection, pool, postgres, watchdog
from repositories.guarded_connection import GuardedConnection
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import TransactionLimits

_SHORT_SECONDS = 0.3
"""For a server that never answers; one that does has two minutes."""


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(pool, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(watchdog, "_TICK_SECONDS", 0.02)
    monkeypatch.setattr(guarded_connection, "_watchdog", watchdog.Watchdog())


@pytest.fixture
def database(database_url: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(ConnectionPool(database_url, size=2))) as opened:
        yield opened


@contextmanager
def impatient(database: PostgresDatabase) -> Iterator[None]:
    """The transactions that begin in the block wait a short time for each statement."""
    usual = database._limits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "_MARGIN_SECONDS", 0.1)
        patch.setattr(database, "_limits", dict.fromkeys(usual, TransactionLimits(statement_seconds=0.2)))
        yield


@contextmanager
def suspended(conn: GuardedConnection) -> Iterator[None]:
    """The backend of a connection stands still; the kernel acknowledges what it gets."""
    pid = conn.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def lent(database: PostgresDatabase) -> Iterator[GuardedConnection]:
    with database._pool.lend() as conn:
        yield conn


def test_a_statement_that_a_suspended_server_never_answers_ends(database: PostgresDatabase) -> None:
    with lent(database) as conn:
        pass
    with (
        suspended(conn),
        impatient(database),
        pytest.raises(DatabaseUnavailableError, match=r"did not answer within 0\.3 s"),
        database.transaction() as work,
    ):
        work.now()
    assert conn.closed
    with database.transaction() as work:
        assert work.now()


def test_a_commit_that_a_suspended_server_never_answers_ends(database: PostgresDatabase) -> None:
    with lent(database) as conn:
        pass
    with pytest.raises(DatabaseUnavailableError, match="did not answer"), suspended(conn), _begun(database, conn):
        pass


@contextmanager
def _begun(database: PostgresDatabase, conn: GuardedConnection) -> Iterator[None]:
    """A transaction whose backend runs until the block begins."""
    pid = conn.info.backend_pid
    os.kill(pid, signal.SIGCONT)
    with database.transaction() as work:
        work.now()
        os.kill(pid, signal.SIGSTOP)
        conn.limit_seconds = _SHORT_SECONDS
        yield


def test_a_copy_that_a_suspended_server_never_takes_ends(database: PostgresDatabase) -> None:
    with lent(database) as conn:
        pass

    def lines() -> Iterator[str]:
        for number in range(100_000):
            if number == 1000:
                os.kill(pid, signal.SIGSTOP)
            yield f"x\t0\t{number}\t{{}}\n"

    pid = conn.info.backend_pid
    try:
        silent = pytest.raises(DatabaseUnavailableError, match="did not answer")
        with impatient(database), silent, database.transaction() as work:
            work.repository(lambda rows: rows).copy("COPY ingested_rows FROM STDIN", lines())
    finally:
        os.kill(pid, signal.SIGCONT)


def test_an_idle_connection_that_a_suspended_server_never_answers_is_replaced(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CHECK_AFTER_IDLE_SECONDS", 0.0)
    with lent(database) as conn:
        pass
    with suspended(conn), lent(database) as other:
        assert other is not conn


def test_of_many_idle_connections_to_a_suspended_server_one_is_waited_for(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_CHECK_AFTER_IDLE_SECONDS", 0.0)
    checked: list[GuardedConnection] = []
    is_alive = pool._is_alive

    def noted(conn: GuardedConnection) -> bool:
        checked.append(conn)
        return is_alive(conn)

    monkeypatch.setattr(pool, "_is_alive", noted)
    with lent(database) as first, lent(database) as second:
        pass
    with suspended(first), suspended(second), lent(database):
        assert len(checked) == 1
        assert first.closed
        assert second.closed


def test_what_gets_the_descriptor_of_a_cut_connection_is_not_cut(database: PostgresDatabase, tmp_path: Path) -> None:
    with lent(database) as neighbour, lent(database) as conn:
        descriptor = conn.fileno()
        conn.limit_seconds = 0.1
        with (
            suspended(conn),
            pytest.raises(Exception, match="did not answer"),
            conn.cursor() as cursor,
        ):
            cursor.execute("SELECT 1")
        conn._cut()  # once more, when libpq has closed its own descriptor
        with closing(create_server(("127.0.0.1", 0))) as reusing:
            assert reusing.fileno() == descriptor
            conn._cut()
            reusing.settimeout(0.05)
            with pytest.raises(TimeoutError):  # it still listens
                reusing.accept()
        with neighbour.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("options", ["sslmode=disable", "sslmode=require", "sslmode=prefer"])
def test_connecting_to_a_server_that_never_answers_ends(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_TIMEOUT_SECONDS", 1)  # libpq makes it two
    with closing(create_server(("127.0.0.1", 0))) as silent:
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/x?{options}"
        with (
            closing(ConnectionPool(url, size=1)) as never,
            pytest.raises(DatabaseUnavailableError, match="cannot connect"),
            never.lend(),
        ):
            pass
