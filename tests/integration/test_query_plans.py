"""No query scans a large table from end to end, and no index of one is without a query."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the name of its instances is theirs

from core.ids import batch_id, task_id
from core.models import FIRST_BATCHES, MOST_COUNTED_TASKS, MOST_PROGRESS_NOTES, SAMPLED_UNFINISHED_BATCHES
from core.recent_ends import FEWEST_TASKS, SAMPLED_BATCHES
from core.statuses import TaskStatus
from local.postgres import EmbeddedPostgres
from repositories import migrations, queries
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

_FILES = (
    *("stages", "batches", "tasks", "sweeps", "stops", "pruning", "job_waits"),
    *("job_listing", "retry_parts", "task_listing", "batch_overviews", "backlog", "bulk_actions"),
)
_BIG_TABLES = {"tasks", "batches", "jobs"}
_JOB = f"{3:032x}"
_FINISHED_JOB = f"{5:032x}"
_STATUSES = ("queued", "processing", "retrying")
"""Of the tasks of `_JOB`."""

# 200 jobs of 100 batches, twenty of them with live batches, and five with their 10,000 tasks; of each hundred tasks one
# runs and one waits for a retry, and two of a hundred batches are pending.
_FILL = """
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, started_at)
    SELECT lpad(to_hex(j), 32, '0'), 'plans', '{}', 1, 'processing', 1, now() FROM generate_series(1, 200) AS j;

    INSERT INTO stages (job_id, stage, name) SELECT job_id, 1, 'one' FROM jobs;

    INSERT INTO batches (
        batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest, queued_at
    )
    SELECT job_id || '-s1-b' || b, job_id, 1, b, 'fast', 100, 100,
        CASE WHEN b < 98 THEN 'queued' ELSE 'pending_queue' END::batch_status, '', now()
    FROM jobs, generate_series(0, 99) AS b;

    INSERT INTO tasks (
        task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, attempt, lease_id,
        lease_expires_at, not_before, started_at
    )
    SELECT job_id || '-s01-t' || lpad(t::text, 7, '0'), job_id, 'plan', 1, t, job_id || '-s1-b' || t / 100,
        CASE t % 100 WHEN 1 THEN 'processing' WHEN 2 THEN 'retrying' ELSE 'queued' END::task_status, '{}',
        CASE WHEN t % 100 IN (1, 2) THEN 1 ELSE 0 END, CASE WHEN t % 100 = 1 THEN 'lease' END,
        CASE WHEN t % 100 = 1 THEN now() END, CASE WHEN t % 100 = 2 THEN now() END,
        CASE WHEN t % 100 IN (1, 2) THEN now() END
    FROM jobs, generate_series(0, 9999) AS t
    WHERE job_id <= lpad('5', 32, '0');

    UPDATE batches SET open_tasks = 0, status = 'finished', queued_at = now(), finished_at = now()
    WHERE job_id = lpad('5', 32, '0') OR job_id > lpad('14', 32, '0');

    UPDATE tasks
    SET status = 'completed', attempt = 1, started_at = now(), finished_at = now(), lease_id = NULL,
        lease_expires_at = NULL, not_before = NULL
    WHERE parent_job_id = lpad('5', 32, '0');

    -- And the jobs of the last two weeks, which are still there.
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, started_at, finished_at)
    SELECT 'f' || lpad(to_hex(j), 31, '0'), 'plans', jsonb_build_object('n', j, 'text', repeat('x', 400)), 1,
        'completed', 1, now(), now() - make_interval(mins => j)
    FROM generate_series(1, 20000) AS j;

    ANALYZE jobs, stages, batches, tasks
"""
_TASKS = [task_id(_JOB, 1, index) for index in range(100, 200)]
_BATCHES = [batch_id(_JOB, 1, index) for index in range(10)]
_VALUES: dict[str, Any] = {
    "job_id": _JOB,
    "stage": 1,
    "name": "plan",
    "max_failed_fraction": 0.0,
    "total_tasks": 1,
    "total_batches": 1,
    "result": "{}",
    "job_ids": [_JOB],
    "stages": [1],
    "batch_id": _BATCHES[1],
    "batch_ids": _BATCHES,
    "batch_index": 1,
    "after_stage": 1,
    "after_index": 50,
    "limit": 100,
    "max_bytes": 1_000_000,
    "with_parameters": True,
    "with_result": True,
    "lane": "fast",
    "digest": "",
    "enveloped": True,
    "task_count": 100,
    "ended": [1] * 10,
    "failed": [0] * 10,
    "cancelled": [0] * 10,
    "failed_too": True,
    "chosen_ids": _TASKS,
    "send_attempt": 1,
    "task_ids": _TASKS,
    "held_ids": _TASKS,
    "task_id": _TASKS[0],
    "task_types": ["plan"] * 100,
    "id_lines": "\n".join(_TASKS),
    "type_lines": "\n".join(["plan"] * 100),
    "index_lines": "\n".join(map(str, range(100))),
    "parameter_lines": "\n".join(["{}"] * 100),
    "parameters": "{}",
    "expected": "pending_queue",
    "status": "queued",
    "statuses": ["completed"] * 100,
    "results": json.dumps(dict.fromkeys(_TASKS, 1)),
    "errors": [None] * 100,
    "error": "no",
    "delays": [0.0] * 100,
    "most_errors": 5,
    "checkpoints": ["{}"] * 100,
    "idle_continuations": [0] * 100,
    "checkpoint": "{}",
    "fraction": 0.5,
    "note": "half",
    "worker": "a host",
    "lease_id": "lease",
    "dispatch_lease_id": "lease",
    "lease_seconds": 60.0,
    "age_seconds": 60.0,
    "low": 5_000,
    "retention_days": 30,
    "sends": 1,
    "died": True,
    "after": _TASKS[0],
    "before": _TASKS[-1],
}

_VALUES_OF_FILE: dict[str, dict[str, Any]] = {
    "stages": {
        "most_tasks": MOST_COUNTED_TASKS,
        "sampled": SAMPLED_UNFINISHED_BATCHES,
        "first": FIRST_BATCHES,
        "status": "failed",
        "tasks": 1,
        "batches": 1,
        "cursor": "{}",
        "idle_slices": 1,
        "openings": 0,
        "state": "{}",
        "tasks_before": 0,
    },
    "job_listing": {
        "job_type": "plans",
        "statuses": ["failed"],
        "created_from": None,
        "created_before": None,
        "after_at": None,
        "after_id": None,
        "text": "a text",
    },
    "backlog": {"most_tried": 50, "most_letters": 10_000},
    "retry_parts": {"opening": 1, "error_group": None, "characters": 500, "reopened": 1},
    "task_listing": {"batches": 50, "most_tasks": 1_000, "characters": 500, "notes": MOST_PROGRESS_NOTES},
    "batch_overviews": {
        "first": "2020-01-01T00:00:00Z",
        "last": "2100-01-01T00:00:00Z",
        "bucket_seconds": 5,
        "since": "2020-01-01T00:00:00Z",
        "lately": "2020-01-01T00:00:00Z",
        "sample": SAMPLED_BATCHES,
        "fewest": FEWEST_TASKS,
        "begun": SAMPLED_UNFINISHED_BATCHES,
    },
    "bulk_actions": {
        "action_id": "a" * 32,
        "kind": "cancel",
        "job_type": "plans",
        "statuses": ["failed"],
        "created_from": "2100-01-01T00:00:00Z",  # of any time, a count reads all jobs
        "created_before": None,
        "matched": 1,
        "after_at": None,
        "after_id": None,
        "reason": None,
        "most_reasons": 100,
        "after_action": None,
    },
    "job_waits": {
        "start_at": None,
        "exclusive_key": "table",
        "after": [_JOB],
        "after_turn": 0,
        "in_turn": True,
        "is_told": True,
    },
}


@pytest.fixture(scope="module")
def conn(postgres: EmbeddedPostgres) -> Iterator[connection]:
    url = postgres.url("query_plans")
    with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
        migrations.apply(database, url)
    with closing(psycopg2.connect(url)) as opened:
        with opened, opened.cursor() as cursor:
            for table in ("jobs", "stages", "batches", "tasks"):  # a vacuum would change plans between two tests
                cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
            cursor.execute(_FILL)
        yield opened


def read_from_end_to_end(conn: connection, statement: str, values: dict[str, Any]) -> set[str]:
    """The tables that the plan of a statement scans without an index."""
    return _scanned(plan_of(conn, statement, values))


def plan_of(conn: connection, statement: str, values: dict[str, Any], options: str = "") -> dict[str, Any]:
    try:
        with conn.cursor() as cursor:
            # As the statement before an UPDATE leaves it: see tasks.sql.
            cursor.execute("SELECT set_config('lockstep.locked', %s::text[]::text, true)", (_TASKS,))
            cursor.execute(f"EXPLAIN ({options}FORMAT JSON) {statement}", values)
            rows = cursor.fetchall()
    finally:
        conn.rollback()
    plan: dict[str, Any] = rows[0][0][0]["Plan"]
    return plan


def _scanned(plan: dict[str, Any]) -> set[str]:
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*(_scanned(child) for child in plan.get("Plans", [])))


@pytest.mark.parametrize(
    ("file", "name"),
    [(file, name) for file in _FILES for name in queries.load(file)],
)
def test_a_query_finds_its_rows_by_an_index(conn: connection, file: str, name: str) -> None:
    for statement in queries.load(file)[name].split(";\n"):
        values = {**_VALUES, **_VALUES_OF_FILE.get(file, {})}
        assert not read_from_end_to_end(conn, statement, values) & _BIG_TABLES, statement


def test_a_first_page_is_found_by_an_index(conn: connection) -> None:
    assert not read_from_end_to_end(conn, queries.load("tasks")["page"], {**_VALUES, "after": ""})


@pytest.mark.parametrize("job_id", [_JOB, _FINISHED_JOB])
@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_page_of_a_status_that_no_task_has_reads_no_task(conn: connection, job_id: str, status: TaskStatus) -> None:
    """Of the tasks of all jobs, nearly all are queued; of those of the finished job, none."""
    values = {**_VALUES, "job_id": job_id, "after": "", "status": status}
    plan = plan_of(conn, queries.load("tasks")["page"], values, "ANALYZE, ")
    found = plan["Actual Rows"]
    assert (found > 0) == (status == "completed" if job_id == _FINISHED_JOB else status in _STATUSES)
    # Pending batches have open tasks, and the test's tasks are not pending: only there, the counts cannot tell.
    if not found and (job_id, status) != (_JOB, TaskStatus.PENDING_QUEUE):
        assert _rows_read(plan, "tasks") == 0


def test_old_jobs_are_found_by_the_time_of_their_end(conn: connection) -> None:
    plan = plan_of(conn, queries.load("pruning")["jobs_to_prune"], _VALUES)
    assert "jobs_ended" in _indexes(plan)


def test_the_errors_of_a_stage_are_found_in_the_batches_with_failed_tasks_alone(conn: connection) -> None:
    plan = plan_of(conn, queries.load("tasks")["first_errors"], _VALUES, "ANALYZE, ")
    assert _rows_read(plan, "tasks") == 0


def test_a_page_of_failures_reads_the_tasks_of_batches_with_failed_tasks_alone(conn: connection) -> None:
    values = {**_VALUES, **_VALUES_OF_FILE["task_listing"], "after": ""}
    assert _rows_read(plan_of(conn, queries.load("task_listing")["errors"], values, "ANALYZE, "), "tasks") == 0


def test_a_page_of_a_table_without_statistics_reads_no_task_beyond_its_end(postgres: EmbeddedPostgres) -> None:
    """The stage of a new table, or of stale statistics, looks as if hardly any of its tasks had ended."""
    limit, url = 100, postgres.url("unanalyzed")
    values = {**_VALUES, "job_id": _FINISHED_JOB, "status": None, "limit": limit}
    values |= {"after": task_id(_FINISHED_JOB, 1, 1_000), "before": f"{_FINISHED_JOB}-s01-t~"}
    with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
        migrations.apply(database, url)
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("ALTER TABLE tasks SET (autovacuum_enabled = false)")
        cursor.execute(_FILL.replace("ANALYZE", "-- ANALYZE"))
        cursor.execute(queries.load("tasks")["in_order"])
        for name in ("page", "results_page"):
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.load('tasks')[name]}", values)
            plan = cursor.fetchall()[0][0][0]["Plan"]
            assert 0 < _rows_read(plan, "tasks") <= 5 * limit, name


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"job_type": "no such type"},
        {"statuses": ["failed"]},
        {"job_type": "plans", "statuses": ["cancelled", "failed"]},
        {"created_from": "2020-01-01"},
        {"after_at": "2040-01-01", "after_id": _JOB},
    ],
    ids=str,
)
def test_the_list_of_jobs_reads_no_row_of_a_job_that_it_does_not_have(conn: connection, where: dict[str, Any]) -> None:
    anything = {"job_type": None, "statuses": None, "created_from": None}
    values = {**_VALUES, **_VALUES_OF_FILE["job_listing"], **anything, **where}
    plan = plan_of(conn, queries.load("job_listing")["newest"], values, "ANALYZE, ")
    assert _indexes(plan) - {""} == {"jobs_newest"}
    assert _rows_read(plan, "jobs") <= values["limit"] + 1


def test_the_oldest_waiting_tasks_are_found_by_the_live_batches(conn: connection) -> None:
    """However many tasks there are, it reads the live batches of the running stages once a lane, and a task of some."""
    live_batches = 1_900
    plan = plan_of(conn, queries.load("backlog")["oldest"], {"most_tried": 50}, "ANALYZE, ")
    assert _indexes(plan) >= {"batches_live", "tasks_batch"}
    assert not _scanned(plan) & _BIG_TABLES
    assert 0 < _rows_read_in_all(plan, "batches") <= 3 * live_batches
    assert 0 < _loops(plan, "tasks") <= live_batches


def test_the_tasks_of_so_many_batches_that_wait_for_a_retry_are_read_and_of_no_more(conn: connection) -> None:
    try:
        with conn.cursor() as cursor:
            cursor.execute(
                "UPDATE tasks SET status = 'retrying', attempt = 1, started_at = now(), lease_id = NULL,"
                " lease_expires_at = NULL, not_before = now() + interval '1 hour' WHERE parent_job_id = %s",
                (_JOB,),
            )
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.load('backlog')['oldest']}", {"most_tried": 50})
            plan = cursor.fetchall()[0][0][0]["Plan"]
    finally:
        conn.rollback()
    assert 4_000 < _rows_read_in_all(plan, "tasks") <= 5_000 + 20  # a scan tells the rounded mean of its loops


@pytest.mark.parametrize("name", sorted(queries.load("batch_overviews").keys() - {"recent_ends"}))
def test_an_overview_reads_each_batch_of_its_job_once_and_no_task(conn: connection, name: str) -> None:
    values = {**_VALUES, **_VALUES_OF_FILE["batch_overviews"]}
    plan = plan_of(conn, queries.load("batch_overviews")[name], values, "ANALYZE, ")
    assert 0 < _rows_read_in_all(plan, "batches") <= 100
    assert not _tables(plan) & {"tasks", "jobs"}


@pytest.mark.parametrize("lately", ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"], ids=["fast", "slow"])
@pytest.mark.parametrize(("job_id", "ended"), [(_JOB, 0), (_FINISHED_JOB, SAMPLED_BATCHES)])
def test_a_rate_reads_the_tasks_of_the_batches_that_ended_last_alone(
    conn: connection, job_id: str, ended: int, lately: str
) -> None:
    values = {**_VALUES, **_VALUES_OF_FILE["batch_overviews"], "job_id": job_id, "lately": lately}
    plan = plan_of(conn, queries.load("batch_overviews")["recent_ends"], values, "ANALYZE, ")
    assert _rows_read_in_all(plan, "tasks") == 100 * ended
    assert 0 < _rows_read_in_all(plan, "batches") <= 2 * 100
    assert not _scanned(plan) & _BIG_TABLES


def test_a_rate_reads_the_tasks_of_begun_batches_too(conn: connection) -> None:
    values = {**_VALUES, **_VALUES_OF_FILE["batch_overviews"]}
    try:
        with conn.cursor() as cursor:
            cursor.execute(
                "UPDATE batches SET open_tasks = 99 WHERE job_id = %s AND batch_index IN (5, 50, 99)", (_JOB,)
            )
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.load('batch_overviews')['recent_ends']}", values)
            plan = cursor.fetchall()[0][0][0]["Plan"]
    finally:
        conn.rollback()
    assert _rows_read_in_all(plan, "tasks") == 3 * 100
    assert not _scanned(plan) & _BIG_TABLES


def test_a_rate_reads_the_tasks_of_so_many_begun_batches_and_of_no_more(conn: connection) -> None:
    """Of each begun batch one task ended: so many ends are told, though fewer are read."""
    begun, values = 60, {**_VALUES, **_VALUES_OF_FILE["batch_overviews"]}
    query = queries.load("batch_overviews")["recent_ends"]
    try:
        with conn.cursor() as cursor:
            _begin_batches(cursor, begun)
            cursor.execute(
                "UPDATE tasks SET status = 'completed', attempt = 1, started_at = now(), finished_at = now()"
                " WHERE parent_job_id = %s AND task_index %% 100 = 3",
                (_JOB,),
            )
            cursor.execute(query, {**values, "fewest": 1})
            ((_, tasks, _),) = cursor.fetchall()
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", values)
            plan = cursor.fetchall()[0][0][0]["Plan"]
    finally:
        conn.rollback()
    assert tasks == pytest.approx(begun)
    assert _rows_read_in_all(plan, "tasks") == 100 * SAMPLED_UNFINISHED_BATCHES
    assert not _scanned(plan) & _BIG_TABLES


@pytest.mark.parametrize(
    ("begun", "most_tasks", "read", "counted"),
    [
        (60, 10_000, 100, 100),
        (60, 9_999, SAMPLED_UNFINISHED_BATCHES + FIRST_BATCHES + 18, 98),
        (30, 9_999, 2 * SAMPLED_UNFINISHED_BATCHES + FIRST_BATCHES, 98),
        (0, 9_999, SAMPLED_UNFINISHED_BATCHES + FIRST_BATCHES, 98),
        (98, 9_999, SAMPLED_UNFINISHED_BATCHES, 98),
    ],
)
def test_the_counts_of_a_stage_read_the_tasks_of_so_many_batches_and_of_no_more(
    conn: connection, begun: int, most_tasks: int, read: int, counted: int
) -> None:
    """One task of each batch runs, and one waits for a retry: of 98 batches that are sent, and of two others.

    The rest are sent batches of which no task has ended and which are not among the first: 18, 48 and 78 of them.
    """
    query = queries.load("stages")["counts"]
    values = {**_VALUES, **_VALUES_OF_FILE["stages"], "most_tasks": most_tasks}
    try:
        with conn.cursor() as cursor:
            _begin_batches(cursor, begun)
            cursor.execute(f"SELECT processing, retrying, are_estimates FROM ({query}) AS counts", values)
            counts = cursor.fetchall()
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", values)
            plan = cursor.fetchall()[0][0][0]["Plan"]
    finally:
        conn.rollback()
    assert counts == [(counted, counted, most_tasks < 10_000)]
    # PostgreSQL rounds the rows of each loop; there is one for each kind of batch.
    assert _rows_read_in_all(plan, "tasks") == pytest.approx(100 * read, abs=3)
    assert 0 < _rows_read_in_all(plan, "batches") <= 2 * 100
    assert not _scanned(plan) & _BIG_TABLES


def test_the_notes_of_running_tasks_are_looked_for_in_so_many_batches(conn: connection) -> None:
    batches, values = 50, {**_VALUES, **_VALUES_OF_FILE["task_listing"]}
    plan = plan_of(conn, queries.load("task_listing")["progress_notes"], values, "ANALYZE, ")
    assert _rows_read_in_all(plan, "tasks") == 100 * batches
    assert not _scanned(plan) & _BIG_TABLES


def _begin_batches(cursor: Cursor, batches: int) -> None:
    cursor.execute("UPDATE batches SET open_tasks = 99 WHERE job_id = %s AND batch_index < %s", (_JOB, batches))


def test_every_index_of_a_large_table_serves_a_query(conn: connection) -> None:
    used = set[str]()
    for file in _FILES:
        for text in queries.load(file).values():
            for statement in text.split(";\n"):
                used |= _indexes(plan_of(conn, statement, {**_VALUES, **_VALUES_OF_FILE.get(file, {})}))
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = ANY(%s)", ([*_BIG_TABLES, "stages"],))
        assert {name for (name,) in cursor.fetchall()} - used == set()


@pytest.mark.parametrize("name", ["lock_held", "record"])
def test_outcomes_are_recorded_by_the_primary_key(conn: connection, name: str) -> None:
    plan = plan_of(conn, queries.load("tasks")[name], _VALUES)
    assert _indexes(plan) - {""} == {"tasks_pkey"}


def test_the_tasks_of_a_batch_are_found_by_their_batch(conn: connection) -> None:
    assert _indexes(plan_of(conn, queries.load("tasks")["ids_of_batch"], _VALUES)) == {"", "tasks_batch"}


def _rows_read(plan: dict[str, Any], table: str) -> int:
    """The rows that the scans of a table read, those among them that they drop."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) if plan.get("Relation Name") == table else 0
    return int(own) + sum(_rows_read(child, table) for child in plan.get("Plans", []))


def _rows_read_in_all(plan: dict[str, Any], table: str) -> int:
    """The same, times the number of scans."""
    own = 0
    if plan.get("Relation Name") == table:
        own = plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    return int(own) + sum(_rows_read_in_all(child, table) for child in plan.get("Plans", []))


def _loops(plan: dict[str, Any], table: str) -> int:
    """How often a table is read."""
    own = plan["Actual Loops"] if plan.get("Relation Name") == table else 0
    return int(own) + sum(_loops(child, table) for child in plan.get("Plans", []))


def _tables(plan: dict[str, Any]) -> set[str]:
    return {plan.get("Relation Name", "")}.union(*(_tables(child) for child in plan.get("Plans", [])))


def _indexes(plan: dict[str, Any]) -> set[str]:
    return {plan.get("Index Name", "")}.union(*(_indexes(child) for child in plan.get("Plans", [])))


def test_the_check_would_notice_a_scan(conn: connection) -> None:
    assert read_from_end_to_end(conn, "SELECT count(parameters) FROM tasks", {}) == {"tasks"}
