import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from core.errors import DatabaseError
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_ROOT = Path(__file__).parents[2]
_OPEN = """
import sys
from repositories import migrations, pool
from repositories.ports import TransactionKind
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import limits_of_kinds
migrations._WAIT_SECONDS = migrations.CONNECT_TIMEOUT_SECONDS = pool.CONNECT_TIMEOUT_SECONDS = 120
database = PostgresDatabase(pool.ConnectionPool(sys.argv[1], size=1), limits_of_kinds(120, 120))
"""
_APPLY = _OPEN + "print(migrations.apply(database, sys.argv[1]))"
_HOLD_THE_LOCK = f"""{_OPEN}
with database.transaction(TransactionKind.MIGRATION) as work:
    work.lock_migrations()
    print("locked", flush=True)
    sys.stdin.read()
"""
_WAITING_FOR_THE_LOCK = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
"""


@pytest.fixture
def unmigrated(unmigrated_database_url: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(ConnectionPool(unmigrated_database_url, size=1))) as database:
        yield database


@contextmanager
def python(code: str, url: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process."""
    with subprocess.Popen(
        [sys.executable, "-c", code, url], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@contextmanager
def lock_holder(url: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the migration lock until its standard input ends."""
    with python(_HOLD_THE_LOCK, url) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process


def wait_for_waiters(url: str, expected: int) -> None:
    """Returns when that many processes wait for the migration lock."""
    deadline = time.monotonic() + 120
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(_WAITING_FOR_THE_LOCK)
            (count,) = cursor.fetchone() or (0,)
            if count == expected:
                return
    raise AssertionError(f"there are never {expected} that wait for the lock")


def test_a_database_without_tables_lacks_every_migration(unmigrated: PostgresDatabase) -> None:
    assert migrations.pending(unmigrated) == migrations.expected()


def test_applying_twice_is_applying_once(unmigrated: PostgresDatabase, unmigrated_database_url: str) -> None:
    assert migrations.apply(unmigrated, unmigrated_database_url) == migrations.expected()
    assert migrations.apply(unmigrated, unmigrated_database_url) == []
    assert migrations.pending(unmigrated) == []
    with unmigrated.transaction() as work:
        assert work.jobs.get("0" * 32) is None


def test_of_processes_that_migrate_at_once_one_does_and_the_others_find_it_done(
    unmigrated: PostgresDatabase, unmigrated_database_url: str
) -> None:
    with (
        lock_holder(unmigrated_database_url) as holder,
        python(_APPLY, unmigrated_database_url) as first,
        python(_APPLY, unmigrated_database_url) as second,
    ):
        wait_for_waiters(unmigrated_database_url, 2)
        holder.communicate()
        answers = sorted(process.communicate()[0].strip() for process in (first, second))
    assert answers == sorted([str(migrations.expected()), "[]"])
    assert migrations.pending(unmigrated) == []


def test_a_killed_process_does_not_keep_the_lock(unmigrated: PostgresDatabase, unmigrated_database_url: str) -> None:
    with lock_holder(unmigrated_database_url) as holder, python(_APPLY, unmigrated_database_url) as waiter:
        wait_for_waiters(unmigrated_database_url, 1)
        holder.kill()
        assert waiter.communicate()[0].strip() == str(migrations.expected())
    assert migrations.pending(unmigrated) == []


def test_a_refused_migration_is_an_error_of_the_database(
    unmigrated: PostgresDatabase, unmigrated_database_url: str
) -> None:
    with closing(psycopg2.connect(unmigrated_database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE jobs (job_id text)")
    with pytest.raises(DatabaseError, match="already exists"):
        migrations.apply(unmigrated, unmigrated_database_url)
    assert migrations.pending(unmigrated) == migrations.expected()


def test_migrations_read_a_database_url_as_the_pool_does(
    unmigrated: PostgresDatabase, unmigrated_database_url: str
) -> None:
    url = unmigrated_database_url.replace("postgres@", "postgres:p?a#s:s@")
    assert url != unmigrated_database_url
    assert migrations.apply(unmigrated, url) == migrations.expected()


@pytest.mark.parametrize("url", ["postgresql://me:x@pssst@127.0.0.1/db", "postgresql://me:pssst/db"])
def test_a_database_url_that_yoyo_cannot_use_is_not_shown(unmigrated: PostgresDatabase, url: str) -> None:
    with pytest.raises(DatabaseError, match="cannot connect") as caught:
        migrations.apply(unmigrated, url)
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


def test_dead_letters_that_were_kept_several_times_are_kept_once_by_the_migration(
    unmigrated: PostgresDatabase, unmigrated_database_url: str
) -> None:
    migrations.apply(unmigrated, unmigrated_database_url)
    with closing(psycopg2.connect(unmigrated_database_url)) as conn:
        with conn, conn.cursor() as cursor:
            cursor.execute("DROP INDEX dead_letters_once")
            cursor.execute("DELETE FROM _yoyo_migration WHERE migration_id LIKE '0007%'")
            cursor.execute(
                """
                INSERT INTO dead_letters (queue, reason, description, body, message_id)
                SELECT 'sb-tasks', 'unreadable', 'try ' || n, '{', id
                FROM generate_series(1, 3) AS n, (VALUES ('a'), ('b'), (NULL)) AS ids (id)
                ORDER BY n
                """
            )
        assert len(migrations.apply(unmigrated, unmigrated_database_url)) == 1
        with conn.cursor() as cursor:
            cursor.execute("SELECT message_id, description FROM dead_letters ORDER BY message_id NULLS LAST")
            assert cursor.fetchall() == [("a", "try 1"), ("b", "try 1"), (None, "try 1")]
