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
from tests.support.app_database import AppDatabase

NewDatabase = Callable[..., PostgresDatabase]


@pytest.fixture
def new_database(database_url: str) -> Iterator[NewDatabase]:
    """A database with one connection, whose transactions have limits that a busy machine does not reach, or these."""
    pools = []

    def build(**limits: float) -> PostgresDatabase:
        pools.append(ConnectionPool(database_url, size=1))
        return PostgresDatabase(pools[-1], limits_of_all(**limits))

    yield build
    for pool in pools:
        pool.close()


_LONG = {"lock_seconds": 120.0, "statement_seconds": 120.0, "idle_seconds": 120.0}


def limits_of_all(**limits: float) -> dict[TransactionKind, TransactionLimits]:
    return dict.fromkeys(TransactionKind, TransactionLimits(**{**_LONG, **limits}))


def answers(database: PostgresDatabase) -> bool:
    """Whether the connection of a database serves a transaction without short limits."""
    with PostgresDatabase(database._pool, limits_of_all()).transaction() as work:
        return work.now().tzinfo is not None


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


def test_every_kind_of_transaction_has_limits(app_database: AppDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the limits as they are in a deployment
    with closing(app_database.database(size=1)) as database:
        assert settings(database, TransactionKind.SHORT) == ["5s", "20s", "30s"]
        assert settings(database, TransactionKind.SENDING) == ["5s", "20s", "1min"]
        assert settings(database, TransactionKind.JOB_TYPE) == ["5s", "2min", "2min"]


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
    new_database: NewDatabase,
) -> None:
    database = new_database()
    start_stage(database)
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, "lease", 60)
    with database.transaction() as other:
        other.tasks.batch_create_tasks(batch_of(3), BatchStatus.QUEUED, "lease")
        waiting = new_database(lock_seconds=0.2)
        with pytest.raises(LockTimeoutError) as caught, waiting.transaction() as work:
            work.tasks.batch_create_tasks(batch_of(3), BatchStatus.QUEUED, "lease")
    assert caught.value.retryable


def test_a_statement_that_takes_too_long_ends_with_a_retryable_error(new_database: NewDatabase) -> None:
    database = new_database(statement_seconds=0.2)
    with pytest.raises(StatementTimeoutError) as caught, database.transaction() as work:
        work.repository(lambda rows: rows).one("SELECT pg_sleep(300)")
    assert caught.value.retryable
    assert answers(database)


def test_a_host_that_stands_still_in_a_transaction_loses_its_locks(new_database: NewDatabase, conn: connection) -> None:
    database = new_database(idle_seconds=0.2)
    start_stage(new_database())

    def stand_still() -> None:
        with database.transaction() as work, conn.cursor() as cursor:
            write_batch(work, batch_of(3), BatchStatus.QUEUED)
            cursor.execute("LOCK TABLE tasks")
            work.now()

    with pytest.raises(DatabaseUnavailableError) as caught:
        stand_still()
    assert caught.value.retryable
    conn.rollback()
    assert answers(database)
