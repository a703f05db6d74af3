"""The functions of migration 0021 find their rows by indexes alone, with the plans of their first calls."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import cursor

from core.ids import batch_id, task_id
from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_JOBS = [f"{number:032x}" for number in range(1, 51)]
_FILL = """
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, started_at)
    SELECT job_id, 'plans', '{}', 1, 'processing', 1, now() FROM unnest(%(job_ids)s) AS job_id;

    INSERT INTO stages (job_id, stage, name) SELECT job_id, 1, 'one' FROM unnest(%(job_ids)s) AS job_id;

    INSERT INTO batches (
        batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest, queued_at
    )
    SELECT job_id || '-s1-b' || b, job_id, 1, b, 'fast', 100, 100, 'queued', '', now()
    FROM unnest(%(job_ids)s) AS job_id, generate_series(0, 9) AS b;

    INSERT INTO tasks (task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters)
    SELECT job_id || '-s01-t' || lpad(t::text, 7, '0'), job_id, 'plan', 1, t, job_id || '-s1-b' || t / 100,
        'queued', '{}'
    FROM unnest(%(job_ids)s) AS job_id, generate_series(0, 999) AS t
"""
_CALLS = {
    "SELECT count(*) FROM claim_tasks_v1(%(task_ids)s::text[], %(jobs)s::text[], '{1}', 'lease', 50, 'host')": 100,
    "SELECT count(*) FROM record_completed_v1(%(task_ids)s::text[], 'lease', '{}')": 100,
    "SELECT cardinality(open_tasks_v1(%(batch)s))": 0,
    "SELECT count(*) FROM apply_outcomes_v1(ARRAY[%(batch)s], '{100}', '{0}', '{0}')": 1,
    "SELECT count(*) FROM add_finished_batches_v1(ARRAY[%(batch)s])": 1,
}
"""The calls of an invocation that runs a batch, and what they return."""

_SCANS = """
SELECT (SELECT sum(seq_scan) FROM pg_stat_xact_user_tables), pg_stat_get_xact_numscans('stages_pkey'::regclass)
"""


@pytest.fixture(scope="module")
def rows(postgres: EmbeddedPostgres) -> Iterator[cursor]:
    """A session on tables without statistics, in which the functions were called while the tables were empty."""
    url = postgres.url("task_functions")
    with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
        migrations.apply(database, url)
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as opened:
        # An index looks dear, as on a table of one page.
        opened.execute("SET random_page_cost = 100000")
        for table in ("jobs", "stages", "batches", "tasks"):
            opened.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        for call in _CALLS:
            opened.execute(call, _values(0))
        opened.execute(_FILL, {"job_ids": _JOBS})
        conn.commit()
        yield opened


def _values(batch: int) -> dict[str, object]:
    tasks = [task_id(_JOBS[1], 1, 100 * batch + index) for index in range(100)]
    return {"task_ids": tasks, "jobs": [_JOBS[1]], "batch": batch_id(_JOBS[1], 1, batch)}


def test_no_function_reads_a_table_from_end_to_end(rows: cursor) -> None:
    for call, returned in _CALLS.items():
        before = _scans(rows)
        rows.execute(call, _values(3))
        assert rows.fetchall() == [(returned,)], call
        scans, of_stages = (after - earlier for after, earlier in zip(_scans(rows), before, strict=True))
        assert scans == 0, call
        if "claim" in call:  # a transaction held open keeps old versions of the stage, and each look-up walks over them
            assert of_stages == 1
        rows.connection.commit()


def test_a_claim_waits_for_no_row(rows: cursor) -> None:
    claim, locked = next(iter(_CALLS)), _values(4)
    with closing(psycopg2.connect(rows.connection.dsn)) as other, other.cursor() as holding:
        holding.execute("UPDATE tasks SET sends = 2 WHERE batch_id = %(batch)s AND task_index %% 100 = 7", locked)
        # Without its own limit, the claim would wait until its end.
        rows.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = '60s'")
        rows.execute(claim, locked)
        assert rows.fetchall() == [(99,)]
        rows.connection.rollback()


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_claim_leaves_the_limit_on_locks_as_it_was(rows: cursor, is_locked: bool) -> None:  # noqa: FBT001 - a case
    locked = _values(5 + is_locked)
    with closing(psycopg2.connect(rows.connection.dsn)) as other, other.cursor() as holding:
        if is_locked:
            holding.execute("UPDATE tasks SET sends = 2 WHERE batch_id = %(batch)s AND task_index %% 100 = 7", locked)
        rows.execute("SET LOCAL lock_timeout = '7s'")
        rows.execute(next(iter(_CALLS)), locked)
        rows.execute("SHOW lock_timeout")
        assert rows.fetchall() == [("7s",)]
        rows.connection.rollback()


def _scans(rows: cursor) -> tuple[int, int]:
    rows.execute(_SCANS)
    tables, stages = rows.fetchall()[0]
    return int(tables), int(stages)


def test_the_plan_of_a_few_batches_serves_many(postgres: EmbeddedPostgres) -> None:
    """The statistics of three batches make an index that yields the order of the groups look as good as their ids."""
    url = postgres.url("few_batches")
    count = "SELECT count(*) FROM add_finished_batches_v1(ARRAY[%(batch)s])"
    with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
        migrations.apply(database, url)
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as opened:
        opened.execute("ALTER TABLE batches SET (autovacuum_enabled = false)")
        opened.execute(_FILL, {"job_ids": _JOBS[:2]})
        opened.execute("DELETE FROM tasks; DELETE FROM batches WHERE batch_index > 2 OR job_id = %s", (_JOBS[0],))
        conn.commit()
        opened.execute("ANALYZE batches")
        opened.execute(count, _values(1))
        conn.commit()
        before = _batches_read(opened)
        opened.execute(count, _values(1))
        assert _batches_read(opened) - before == 1


def _batches_read(opened: cursor) -> int:
    """The entries of indexes of batches that this transaction has read."""
    opened.execute(
        "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'batches'::regclass"
    )
    ((read,),) = opened.fetchall()
    return int(read)
