"""`python -m migrate`, the roles of a deployment, and an app that may not migrate: real PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import connection

import bootstrap
import migrate
import wiring
from api import health
from controllers.base import JobController
from controllers.hello_world import HelloWorld
from controllers.registry import Registry
from core.errors import ConstraintViolationError, SchemaBehindError
from engine.process.health_probe import HealthProbe
from local.postgres import EmbeddedPostgres
from repositories import app_role, migrations, transaction_limits
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from settings import Settings
from tests.support.app_database import password_role
from tests.support.waiting import wait_until
from tests.unit.api.support import body, get

ALL = migrations.expected(Registry().migrations)
OPEN = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'lockstep' AND datname = current_database() -- other tests use other databases
"""
NO_BROKER = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true"

Migrate = Callable[..., tuple[int, str, str]]
Execute = Callable[..., list[Any]]


@pytest.fixture
def run(unmigrated_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Migrate:
    """Runs the step in this process; returns its exit code and what it says."""
    monkeypatch.setenv("DATABASE_URL", unmigrated_database_url)
    monkeypatch.delenv("ServiceBusConnection", raising=False)

    def step(*arguments: str) -> tuple[int, str, str]:
        code = migrate.main(arguments)
        return code, *capsys.readouterr()

    return step


@pytest.fixture
def conn(unmigrated_database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(unmigrated_database_url)) as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture
def execute(conn: connection) -> Execute:
    def statement(text: str, *values: object) -> list[Any]:
        with conn.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    return statement


def test_it_applies_what_is_pending_once_and_lists_it_before(run: Migrate) -> None:
    assert run("--check") == (1, "".join(f"pending {name}\n" for name in ALL), "")
    assert run() == (0, "".join(f"applied {name}\n" for name in ALL), "")
    assert run("--check") == (0, "nothing is pending\n", "")
    assert run() == (0, "nothing is pending\n", "")


def test_a_wrong_setting_is_named(run: Migrate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://me:pssst@nowhere/jobs")
    code, _, said = run()
    assert (code, "DATABASE_URL" in said, "pssst" in said) == (2, True, False)


def test_an_unreachable_server_is_another_exit_code(run: Migrate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:pssst@127.0.0.1:1/jobs")
    code, _, said = run()
    assert (code, "cannot connect" in said, "pssst" in said) == (3, True, False)


def test_a_refused_migration_fails_the_step(run: Migrate, execute: Execute) -> None:
    execute("CREATE TABLE jobs (job_id text)")
    code, said, error = run()
    assert (code, said, "already exists" in error) == (1, "", True)


def test_a_step_waits_for_locks_as_long_as_it_is_told(
    run: Migrate, monkeypatch: pytest.MonkeyPatch, unmigrated_database_url: str
) -> None:
    monkeypatch.setattr(transaction_limits, "_MIGRATION_LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrations, "_PAUSE_SECONDS", 0.05)
    with closing(psycopg2.connect(unmigrated_database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('lockstep.migrations'))")
        code, _, said = run("--wait", "0.2")
        assert (code, "another process (pid" in said) == (3, True)
        other.rollback()  # at once; a connection that is closed ends later
    assert run("--wait", "0.2")[0] == 0


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "soon"])
def test_a_wait_that_is_no_time_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        migrate.main(["--wait", seconds])
    assert ended.value.code == 2
    assert f"argument --wait: invalid seconds value: '{seconds}'" in capsys.readouterr().err


def app_of(url: str, controller: type[JobController[Any]] = HelloWorld) -> wiring.App:
    given = {"DATABASE_URL": url, "ServiceBusConnection": NO_BROKER, "MIGRATE_ON_START": "false"}
    return bootstrap.build(Settings.from_environment(given), [controller])


def test_an_app_that_may_not_migrate_refuses_to_run_and_health_lists_what_is_pending(
    run: Migrate, unmigrated_database_url: str, monkeypatch: pytest.MonkeyPatch, execute: Execute
) -> None:
    run()
    execute("DELETE FROM _yoyo_migration WHERE migration_id LIKE '0028%%'")
    monkeypatch.setattr(health, "app", lambda: app_of(unmigrated_database_url))
    monkeypatch.setattr(health, "probe", HealthProbe(health.CHECKS, answer_seconds=120))
    answer = health.health._function.get_user_function()(get(""))
    assert answer.status_code == 503
    assert body(answer)["checks"]["migrations"] == "pending: 0028.progress_times"
    with pytest.raises(
        SchemaBehindError, match=r"lacks the migrations 0028\.progress_times: run python -m migrate"
    ) as caught:
        app_of(unmigrated_database_url)
    assert caught.value.waited_out
    assert execute("SELECT count(*) FROM _yoyo_migration WHERE migration_id LIKE '0028%%'") == [(0,)]
    # A closed connection ends at the server a moment later.
    wait_until(lambda: execute(OPEN) == [(0,)])


def test_an_app_that_may_not_migrate_runs_on_what_the_step_has_made(run: Migrate, unmigrated_database_url: str) -> None:
    run()
    with closing(app_of(unmigrated_database_url)) as app:
        assert app.pending_migrations() == []


@pytest.fixture
def role(postgres: EmbeddedPostgres, unmigrated_database_url: str) -> Iterator[tuple[str, connection]]:
    """The app's role without rights, and a connection as it."""
    with (
        password_role(postgres, unmigrated_database_url) as (name, url),
        closing(psycopg2.connect(unmigrated_database_url)) as owner,
    ):
        with owner, owner.cursor() as cursor:
            cursor.execute(f"ALTER ROLE {name} PASSWORD 'any'")
        with closing(psycopg2.connect(url, password="any")) as opened:
            opened.autocommit = True
            yield name, opened


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (n integer)",
        "ALTER TABLE tasks ADD COLUMN more integer",
        "DROP TABLE tasks",
        "TRUNCATE tasks",
        "CREATE INDEX ON tasks (created_at)",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('a', 'b')",
        "DELETE FROM _yoyo_migration",
        "GRANT SELECT ON tasks TO PUBLIC",
    ],
)
def test_the_role_of_the_app_changes_no_table(
    run: Migrate, role: tuple[str, connection], execute: Execute, statement: str
) -> None:
    name, conn = role
    assert run("--app-role", name)[:2] == (
        0,
        "".join(f"applied {each}\n" for each in ALL) + f"{name} may read and write rows\n",
    )
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tasks")
        try:
            cursor.execute(statement)
        except errors.InsufficientPrivilege:
            return
    # PostgreSQL warns of a GRANT of nothing, and refuses all else.
    assert execute("SELECT has_table_privilege('public', 'tasks', 'SELECT')") == [(False,)]
    assert statement.startswith("GRANT")


def test_the_role_reads_and_writes_what_a_later_migration_makes_before_the_next_grant(
    run: Migrate, role: tuple[str, connection], execute: Execute
) -> None:
    name, conn = role
    run("--app-role", name)
    execute("CREATE TABLE later (n bigserial, v text)")
    execute("CREATE FUNCTION later_v1() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    execute("REVOKE ALL ON FUNCTION later_v1() FROM PUBLIC")
    with conn.cursor() as cursor:
        cursor.execute("INSERT INTO later (v) VALUES ('a')")
        cursor.execute("UPDATE later SET v = 'b'")
        cursor.execute("DELETE FROM later")
        cursor.execute("SELECT later_v1()")


def test_a_grant_leaves_the_tables_of_others_alone(
    run: Migrate, role: tuple[str, connection], execute: Execute, unmigrated_database_url: str
) -> None:
    """As a role that is no superuser, which may not grant rights on them."""
    name, _ = role
    run()
    execute("CREATE ROLE migrator")
    try:
        for table in execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'jobs'"):
            execute(f"ALTER TABLE {table[0]} OWNER TO migrator")
        url = f"{unmigrated_database_url}?options=-c%20role%3Dmigrator"
        execute("GRANT ALL ON SCHEMA public TO migrator")
        execute("GRANT USAGE ON SCHEMA public TO migrator WITH GRANT OPTION")
        with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
            app_role.grant(database, name)
        assert execute("SELECT has_table_privilege(%s, 'tasks', 'DELETE')", name) == [(True,)]
        assert execute("SELECT has_table_privilege(%s, 'jobs', 'SELECT')", name) == [(False,)]
    finally:
        execute("DROP OWNED BY migrator CASCADE")
        execute("DROP ROLE migrator")


def test_a_role_that_does_not_exist_is_named(run: Migrate) -> None:
    run()
    code, _, said = run("--app-role", "no'body\"")
    assert code == 2
    assert "PostgreSQL has no role" in said


def test_an_index_whose_build_failed_is_dropped_and_built_again(
    unmigrated_database_url: str, execute: Execute, tmp_path: Path
) -> None:
    (tmp_path / "scratch.0001.more.sql").write_text(
        "-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS visits_n;\n"
        "CREATE UNIQUE INDEX CONCURRENTLY visits_n ON visits (n);\n"
    )
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    execute("CREATE TABLE visits AS SELECT 1 AS n FROM generate_series(1, 2)")
    with closing(PostgresDatabase(ConnectionPool(unmigrated_database_url, size=1))) as database:
        with pytest.raises(ConstraintViolationError):
            migrations.apply(database, unmigrated_database_url, [tmp_path])
        assert execute(invalid) == [("visits_n",)]
        execute("DELETE FROM visits WHERE ctid = '(0,1)'")
        assert migrations.apply(database, unmigrated_database_url, [tmp_path]) == ["scratch.0001.more"]
    assert execute(invalid) == []
    assert execute("SELECT indexname FROM pg_indexes WHERE tablename = 'visits'") == [("visits_n",)]
