"""No transaction waits without limit: for a lock, for a statement, or for its own client."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection

from core.errors import DatabaseUnavailableError, LockTimeoutError, StatementTimeoutError
from core.statuses import BatchStatus
from repositories.pool import ConnectionPool
from repositories.ports import TransactionKind
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import TransactionLimits
from tests.contract.repositories.building import KEY, batch_of, start_stage, write_batch

NewDatabase = Callable[..., PostgresDatabase]

_SHORT = TransactionKind.SHORT


@pytest.fixture
def new_database(database_url: str) -> Iterator[NewDatabase]:
    """A database with one connection, whose short transactions have other limits than usual."""
    pools = []

    def build(**limits: float) -> PostgresDatabase:
        pools.append(ConnectionPool(database_url, size=1))
        kinds = dict.fromkeys(TransactionKind, TransactionLimits(**{**_USUAL, **limits}))
        return PostgresDatabase(pools[-1], kinds)

    yield build
    for pool in pools:
        pool.close()


_USUAL = {"lock_seconds": 5.0, "statement_seconds": 20.0, "idle_seconds": 30.0}


@pytest.fixture
def conn(database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(database_url)) as opened:
        yield opened


def settings(database: PostgresDatabase, kind: TransactionKind) -> list[str]:
    with database.transaction(kind) as work:
        row = work.repository(lambda rows: rows).one(
            "SELECT current_setting('lock_timeout') AS a, current_setting('statement_timeout') AS b,"
            " current_setting('idle_in_transaction_session_timeout') AS c"
        )
    return list(row.values())


def test_every_kind_of_transaction_has_limits(postgres_database: PostgresDatabase) -> None:
    assert settings(postgres_database, TransactionKind.SHORT) == ["5s", "20s", "30s"]
    assert settings(postgres_database, TransactionKind.SENDING) == ["5s", "20s", "1min"]
    assert settings(postgres_database, TransactionKind.JOB_TYPE) == ["5s", "2min", "2min"]


def test_limits_end_with_the_transaction(new_database: NewDatabase) -> None:
    # PgBouncer lends a server connection for one transaction, so nothing may be left on it.
    database = new_database()
    with database._pool.lend() as conn:
        pid = conn.info.backend_pid
    with database.transaction() as work:
        work.now()
    with database._pool.lend() as conn, conn.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert (conn.info.backend_pid, cursor.fetchone()) == (pid, ("0",))


def test_a_batch_that_another_host_has_not_committed_ends_with_a_retryable_error(
    new_database: NewDatabase, postgres_database: PostgresDatabase
) -> None:
    start_stage(postgres_database)
    with postgres_database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "lease", 60)
    with postgres_database.transaction() as other:
        other.tasks.batch_create_tasks(batch_of(3), BatchStatus.QUEUED, "lease")
        waiting = new_database(lock_seconds=0.2)
        with pytest.raises(LockTimeoutError) as caught, waiting.transaction() as work:
            work.tasks.batch_create_tasks(batch_of(3), BatchStatus.QUEUED, "lease")
    assert caught.value.retryable


def test_a_statement_that_takes_too_long_ends_with_a_retryable_error(new_database: NewDatabase) -> None:
    database = new_database(statement_seconds=0.2)
    with pytest.raises(StatementTimeoutError) as caught, database.transaction() as work:
        work.repository(lambda rows: rows).one("SELECT pg_sleep(30)")
    assert caught.value.retryable
    with database.transaction() as work:
        assert work.now()


def test_a_host_that_stands_still_in_a_transaction_loses_its_locks(new_database: NewDatabase, conn: connection) -> None:
    database = new_database(idle_seconds=0.2)
    start_stage(database)

    def stand_still() -> None:
        with database.transaction() as work, conn.cursor() as cursor:
            write_batch(work, batch_of(3), BatchStatus.QUEUED)
            cursor.execute("LOCK TABLE tasks")
            work.now()

    with pytest.raises(DatabaseUnavailableError) as caught:
        stand_still()
    assert caught.value.retryable
    conn.rollback()
    with database.transaction() as work:
        assert work.now()
