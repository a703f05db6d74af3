"""Every migration is of a kind that an older version of the app can run beside."""

from pathlib import Path

import pytest

from controllers.registry import Registry
from repositories import migrations
from tests.integration.page_visits.job import PageVisits
from tests.support.migration_kinds import slow_statements

_DIRECTORIES = [migrations._DIRECTORY, *Registry().migrations, *Registry([PageVisits]).migrations]
_FILES = {path.stem: path for directory in _DIRECTORIES for path in directory.glob("*.sql")}

_KNOWN = {
    "0003.failures": "rewrites the tasks in progress, then reads all tasks for a CHECK",
    "0004.dead_letters": "reads all tasks for the CHECK of a new column",
    "0005.stops": "reads all stages and batches for CHECKs, and indexes the live batches",
    "0006.retention": "reads all jobs for a CHECK, and indexes those that have ended",
    "0007.dead_letters_once": "deletes copies of dead letters, and indexes the others",
}
"""Migrations that were released before this rule, and what they hold a lock for. Nothing is added here."""


@pytest.mark.parametrize("name", sorted(_FILES))
def test_a_migration_locks_no_table_for_long(name: str) -> None:
    slow = slow_statements(_FILES[name])
    if name in _KNOWN:
        assert slow, f"{name} is no exception any more: take it out of the list"
    else:
        assert not slow


def test_every_exception_is_a_migration() -> None:
    assert _KNOWN.keys() <= _FILES.keys()


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE visits (n integer CHECK (n > 0)); CREATE INDEX visits_n ON visits (n);",
        "CREATE TYPE colour AS ENUM ('red; green', 'blue');",
        "ALTER TABLE tasks ADD COLUMN a timestamptz, ADD COLUMN b numeric(10, 2) NOT NULL DEFAULT 0;",
        "ALTER TABLE tasks ADD COLUMN a jsonb NOT NULL DEFAULT '{}'::jsonb, ADD COLUMN b bool DEFAULT false NOT NULL;",
        "-- Why.\nALTER TABLE tasks ADD CONSTRAINT n CHECK (a IN (1, 2) OR (b > 0)) NOT VALID;",
        "ALTER TABLE tasks VALIDATE CONSTRAINT n;",
        "ALTER TABLE tasks SET (toast_tuple_target = 768);",
        "ALTER TABLE tasks DROP CONSTRAINT n, ALTER COLUMN a DROP NOT NULL;",
        "-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON tasks (a);",
        "CREATE TABLE visits (n integer); INSERT INTO visits VALUES (1);",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE tasks SET a = 1; DELETE FROM b; END $$;",
    ],
)
def test_quick_statements_are_allowed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.0001.sql"
    path.write_text(text)
    assert slow_statements(path) == []


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON tasks (a);",
        "CREATE UNIQUE INDEX i ON tasks (a);",
        "-- transactional: false\nCREATE INDEX CONCURRENTLY i ON tasks (a);",
        "-- transactional: false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON tasks (a);",
        "-- transactional: false\nALTER TABLE tasks ADD COLUMN a integer;",
        "ALTER TABLE tasks ADD COLUMN a integer NOT NULL;",
        "ALTER TABLE tasks ADD COLUMN a integer CHECK (a > 0);",
        "ALTER TABLE tasks ADD COLUMN a integer, ADD COLUMN b integer NOT NULL DEFAULT 0 CHECK (b >= 0);",
        "ALTER TABLE tasks ADD COLUMN a text REFERENCES jobs;",
        "ALTER TABLE tasks ADD COLUMN a integer UNIQUE;",
        "ALTER TABLE tasks ADD COLUMN a bigserial;",
        "ALTER TABLE tasks ADD COLUMN a timestamptz DEFAULT clock_timestamp();",
        "ALTER TABLE tasks ADD COLUMN a integer GENERATED ALWAYS AS (n + 1) STORED;",
        "ALTER TABLE tasks ADD CONSTRAINT n CHECK (a > 0);",
        "ALTER TABLE tasks ADD CONSTRAINT n CHECK (a > 0) NOT VALID; ALTER TABLE tasks VALIDATE CONSTRAINT n;",
        "ALTER TABLE tasks ADD CONSTRAINT n UNIQUE (a);",
        "ALTER TABLE tasks ALTER COLUMN a TYPE bigint;",
        "ALTER TABLE tasks ALTER COLUMN a SET NOT NULL;",
        "ALTER TABLE tasks SET TABLESPACE fast;",
        "UPDATE tasks SET a = 1;",
        "DELETE FROM dead_letters;",
        "LOCK TABLE dead_letters;",
        "DROP TABLE tasks;",
        "DO $$ BEGIN PERFORM 1; END $$;",
        "CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS $$ SELECT 1; $$; UPDATE tasks SET a = f();",
    ],
)
def test_slow_statements_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.0001.sql"
    path.write_text(text)
    assert slow_statements(path)
