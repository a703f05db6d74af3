"""The payload of a task is not in its row, which every change of the task copies."""

from contextlib import closing

import psycopg2

from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_JOB = "ab" * 16
_ROWS = 200
_FILL = f"""
    INSERT INTO tasks (
        task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, attempt,
        started_at, finished_at
    )
    SELECT '{_JOB}-s01-t' || lpad(t::text, 7, '0'), '{_JOB}', 'tiles.cut', 1, t, '{_JOB}-s1-b0', 'completed',
        tiles.list, tiles.list, 1, now(), now()
    FROM generate_series(1, {_ROWS}) AS t, (
        SELECT jsonb_agg(
            jsonb_build_object('tile', n, 'bounds', ARRAY[n / 8.0, n / 4.0, n / 2.0], 'source', md5(n::text))
        ) AS list
        FROM generate_series(1, 23) AS n
    ) AS tiles
"""


def test_a_payload_of_a_few_kilobytes_leaves_the_row_also_if_it_can_be_compressed(unmigrated_database_url: str) -> None:
    """Parameters and results have 3 KB each, and some 1 KB when PostgreSQL has compressed them.

    The database is new, because the rows of other tests leave space in the table.
    """
    with closing(PostgresDatabase(ConnectionPool(unmigrated_database_url, size=1))) as database:
        migrations.apply(database, unmigrated_database_url)
    with closing(psycopg2.connect(unmigrated_database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(_FILL)
        cursor.execute("SELECT avg(length(parameters::text)) FROM tasks")
        (text,) = cursor.fetchone() or (0,)
        cursor.execute("SELECT pg_relation_size('tasks')")
        (heap,) = cursor.fetchone() or (0,)
    assert 2_500 < text < 3_500
    assert heap / _ROWS < 700
