"""The tables of job types: migrated after Lockstep's own, and kept when they were there before."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection

from controllers.registry import Registry
from core.errors import DatabaseError
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_JOB_TYPES = Registry().migrations
# How 0001.tables.sql ended before job types had migrations.
_INGESTED_ROWS = """
-- The target of the job type ingest_csv: one JSON object per CSV row.
CREATE TABLE ingested_rows (
    job_id text COLLATE "C" NOT NULL,
    chunk_index integer NOT NULL,
    row_number integer NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (job_id, chunk_index, row_number)
);
"""
_SCHEMA = """
    SELECT format('%s.%s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull, collname)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL
    SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    ORDER BY 1
"""


@pytest.fixture
def unmigrated(unmigrated_database_url: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(ConnectionPool(unmigrated_database_url, size=1))) as database:
        yield database


@pytest.fixture
def conn(unmigrated_database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(unmigrated_database_url)) as conn:
        conn.autocommit = True
        yield conn


def rows(conn: connection, query: str) -> list[tuple[Any, ...]]:
    with conn.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def write(directory: Path, name: str, statement: str) -> Path:
    directory.mkdir(exist_ok=True)
    directory.joinpath(name).write_text(statement)
    return directory


def test_a_job_type_is_migrated_after_lockstep_and_in_the_order_of_its_numbers(
    unmigrated: PostgresDatabase, unmigrated_database_url: str, tmp_path: Path
) -> None:
    # Its ids sort before Lockstep's own.
    write(tmp_path, "#.0002.more.sql", "ALTER TABLE visits ADD COLUMN job_id text REFERENCES jobs")
    write(tmp_path, "#.0001.visits.sql", "CREATE TABLE visits (n integer)")

    applied = migrations.apply(unmigrated, unmigrated_database_url, [tmp_path])

    assert applied == [*migrations.expected(), "#.0001.visits", "#.0002.more"]
    assert migrations.pending(unmigrated, [tmp_path]) == []


def test_a_job_type_that_is_added_later_is_pending_until_it_is_migrated(
    unmigrated: PostgresDatabase, unmigrated_database_url: str, tmp_path: Path
) -> None:
    migrations.apply(unmigrated, unmigrated_database_url, _JOB_TYPES)
    with_visits = [*_JOB_TYPES, write(tmp_path, "visits.0001.visits.sql", "CREATE TABLE visits (n integer)")]
    assert migrations.pending(unmigrated, with_visits) == ["visits.0001.visits"]

    assert migrations.apply(unmigrated, unmigrated_database_url, with_visits) == ["visits.0001.visits"]
    assert migrations.pending(unmigrated, _JOB_TYPES) == []


def test_a_refused_migration_of_a_job_type_leaves_lockstep_migrated(
    unmigrated: PostgresDatabase, unmigrated_database_url: str, tmp_path: Path
) -> None:
    write(tmp_path, "visits.0001.visits.sql", "CREATE TABLE jobs (n integer)")
    with pytest.raises(DatabaseError, match="already exists"):
        migrations.apply(unmigrated, unmigrated_database_url, [tmp_path])
    assert migrations.pending(unmigrated, [tmp_path]) == ["visits.0001.visits"]


def test_a_database_from_before_job_types_had_migrations_keeps_its_rows_and_gets_the_same_schema(
    unmigrated: PostgresDatabase,
    unmigrated_database_url: str,
    conn: connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    migrations.apply(unmigrated, unmigrated_database_url, _JOB_TYPES)
    fresh = rows(conn, _SCHEMA)
    assert any("ingested_rows_pkey" in row[0] for row in fresh)
    rows(conn, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; SELECT 1")

    with monkeypatch.context() as before:
        before.setattr(migrations, "_DIRECTORY", _as_before(tmp_path))
        migrations.apply(unmigrated, unmigrated_database_url)
    rows(conn, """INSERT INTO ingested_rows VALUES ('j', 0, 0, '{"a": "1"}') RETURNING job_id""")
    assert migrations.apply(unmigrated, unmigrated_database_url, _JOB_TYPES) == [
        "ingest_csv.0001.ingested_rows",
        "ingest_csv.0002.tables",
    ]

    assert rows(conn, "SELECT * FROM ingested_rows") == [("j", 0, 0, {"a": "1"})]
    assert rows(conn, _SCHEMA) == fresh


def _as_before(directory: Path) -> Path:
    """Lockstep's own migrations as they were when the table of ingest_csv was among them."""
    for path in migrations._DIRECTORY.glob("*.sql"):
        write(directory, path.name, path.read_text() + (_INGESTED_ROWS if path.stem == "0001.tables" else ""))
    return directory
