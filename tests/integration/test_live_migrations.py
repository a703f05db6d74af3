"""Migrations on a database that an older version of the app is using."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection

from core.errors import MigrationBlockedError
from repositories import guarded_connection, migrations, watchdog
from repositories.pool import ConnectionPool
from repositories.ports import TransactionKind
from repositories.postgres import PostgresDatabase
from tests.support.waiting import wait_until

Scratch = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_LOCK_SECONDS", 0.2)
    monkeypatch.setattr(migrations, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrations, "_WAIT_SECONDS", 1.0)


@pytest.fixture
def live(unmigrated_database_url: str) -> Iterator[PostgresDatabase]:
    """A migrated database, and a pool with the one connection that the start of an app needs."""
    with closing(PostgresDatabase(ConnectionPool(unmigrated_database_url, size=1))) as database:
        migrations.apply(database, unmigrated_database_url)
        yield database


@pytest.fixture
def conn(unmigrated_database_url: str, live: PostgresDatabase) -> Iterator[connection]:
    with closing(psycopg2.connect(unmigrated_database_url, application_name="report")) as opened:
        yield opened


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """Writes a migration; returns its directory."""

    def write(text: str) -> Path:
        (tmp_path / "scratch.0001.more.sql").write_text(text)
        return tmp_path

    return write


def longest_read(url: str, until: Callable[[], bool]) -> float:
    """How long the slowest of many reads of `tasks` takes, in seconds."""
    longest = 0.0
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        while not until():
            began = time.monotonic()
            cursor.execute("SELECT count(*) FROM tasks")
            longest = max(longest, time.monotonic() - began)
    return longest


def test_a_migration_that_waits_behind_a_report_gives_up_and_stops_nobody_for_long(
    live: PostgresDatabase, unmigrated_database_url: str, conn: connection, scratch: Scratch
) -> None:
    directory = scratch("ALTER TABLE tasks ADD COLUMN more integer;")
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tasks")  # its transaction stays open
    with ThreadPoolExecutor(1) as thread:
        migrating = thread.submit(migrations.apply, live, unmigrated_database_url, [directory])
        assert longest_read(unmigrated_database_url, migrating.done) < 60  # the report, and with it a lock, has no end
        with pytest.raises(MigrationBlockedError) as caught:
            migrating.result()
    assert caught.value.retryable
    assert "migration scratch.0001.more waits for a lock" in str(caught.value)
    assert f"pid {conn.info.backend_pid} (report, idle in transaction" in str(caught.value)
    assert "AccessShareLock on tasks" in str(caught.value)
    assert migrations.pending(live, [directory]) == ["scratch.0001.more"]

    conn.rollback()
    assert migrations.apply(live, unmigrated_database_url, [directory]) == ["scratch.0001.more"]


def test_a_migration_gets_its_lock_when_the_report_ends_in_time(
    live: PostgresDatabase,
    unmigrated_database_url: str,
    conn: connection,
    scratch: Scratch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrations, "_WAIT_SECONDS", 120.0)
    directory = scratch("ALTER TABLE tasks ADD COLUMN more integer;")
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tasks")
    with ThreadPoolExecutor(1) as thread:
        migrating = thread.submit(migrations.apply, live, unmigrated_database_url, [directory])
        with closing(psycopg2.connect(unmigrated_database_url)) as watcher, watcher.cursor() as cursor:
            watcher.autocommit = True
            while True:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
                if cursor.fetchone() == (1,):
                    break
                assert not migrating.done()
        conn.rollback()
        assert migrating.result() == ["scratch.0001.more"]


def test_an_instance_does_not_wait_without_limit_for_another_that_migrates(
    live: PostgresDatabase, unmigrated_database_url: str, scratch: Scratch
) -> None:
    directory = scratch("ALTER TABLE tasks ADD COLUMN more integer;")
    with closing(PostgresDatabase(ConnectionPool(unmigrated_database_url, size=1))) as other:
        with other.transaction(TransactionKind.MIGRATION) as work:
            work.lock_migrations()
            row = work.repository(lambda rows: rows).one("SELECT pg_backend_pid() AS pid")
            with pytest.raises(MigrationBlockedError, match=rf"another process \(pid {row['pid']}\) is migrating"):
                migrations.apply(live, unmigrated_database_url, [directory])
        assert migrations.apply(live, unmigrated_database_url, [directory]) == ["scratch.0001.more"]


def test_a_process_that_dies_after_a_migration_leaves_it_applied_and_marked_or_neither(
    live: PostgresDatabase, unmigrated_database_url: str, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = scratch("CREATE TABLE visits (n integer);")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(migrations._Backend, "mark_one", die)
        with pytest.raises(KeyboardInterrupt):
            migrations.apply(live, unmigrated_database_url, [directory])
    assert migrations.apply(live, unmigrated_database_url, [directory]) == ["scratch.0001.more"]


def test_an_index_is_built_beside_the_work_of_others(
    live: PostgresDatabase, unmigrated_database_url: str, scratch: Scratch
) -> None:
    directory = scratch(
        "-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS tasks_more;\n"
        "CREATE INDEX CONCURRENTLY tasks_more ON tasks (created_at);\n"
    )
    assert migrations.apply(live, unmigrated_database_url, [directory]) == ["scratch.0001.more"]
    with live.transaction() as work:
        row = work.repository(lambda rows: rows).one(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'tasks_more'::regclass"
        )
    assert row == {"indisvalid": True}


class HeldClock:
    """What the watchdog of connections uses of `time`: it looks at a clock that the test moves.

    Attributes:
        now: what the clock shows, in seconds.
        looks: how often it was looked at.
    """

    now = 0.0
    looks = 0
    sleep = staticmethod(time.sleep)

    def monotonic(self) -> float:
        self.looks += 1
        return self.now


def test_an_index_may_take_longer_than_other_statements(
    live: PostgresDatabase,
    unmigrated_database_url: str,
    conn: connection,
    scratch: Scratch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for each transaction that began before it, by a clock that the test moves past the others' limit."""
    clock = HeldClock()
    monkeypatch.setattr(watchdog, "time", clock)
    monkeypatch.setattr(watchdog, "_TICK_SECONDS", 0.02)
    monkeypatch.setattr(guarded_connection, "_watchdog", watchdog.Watchdog())
    directory = scratch(
        "-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS tasks_more;\n"
        "CREATE INDEX CONCURRENTLY tasks_more ON tasks (created_at);\n"
    )
    with conn.cursor() as cursor:
        cursor.execute("UPDATE tasks SET attempt = attempt")
    waiting = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'virtualxid'
    """
    with ThreadPoolExecutor(1) as thread:
        migrating = thread.submit(migrations.apply, live, unmigrated_database_url, [directory])
        with closing(psycopg2.connect(unmigrated_database_url)) as watcher, watcher.cursor() as cursor:
            watcher.autocommit = True
            while True:
                cursor.execute(waiting)
                if cursor.fetchone() == (1,):
                    break
                assert not migrating.done(), migrating.result()
        clock.now = migrations._STATEMENT_SECONDS + 1
        seen = clock.looks
        wait_until(lambda: clock.looks > seen + 10)
        conn.rollback()
        assert migrating.result(120) == ["scratch.0001.more"]
