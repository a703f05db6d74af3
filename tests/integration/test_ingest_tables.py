"""A job of ingest_csv with the parameter `table`, on PostgreSQL."""

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from itertools import islice
from pathlib import Path

import psycopg2
import pytest

from controllers.ingest_csv import IngestCsv
from controllers.ingest_csv.column_types import ColumnType
from controllers.ingest_csv.errors import TableError, TooManyRejectedRowsError
from controllers.ingest_csv.table_name import OWN_TABLES
from controllers.ingest_csv.typed_rows import TypedColumn
from controllers.ingest_csv.typed_tables import StagingTable, TypedTables
from core.errors import DatabaseError
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from tests.integration.conftest import BuildApp
from tests.integration.ingest_tables import FIRST_JOB, SECOND_JOB, Ingestion
from tests.support.mailbox import Mailbox
from tests.unit.controllers.ingest_csv.test_column_types import FITTING

pytestmark = pytest.mark.owns_tables

STAGING = f"ingest_csv_staging_{FIRST_JOB}"
SAMPLE = Path(__file__).parents[2] / "samples" / "airports.csv"
MANY = "id,name\n" + "".join(f"{number},name {number}\n" for number in range(200))


@pytest.fixture
def ingestion(tmp_path: Path, postgres_database: PostgresDatabase, database_url: str) -> Iterator[Ingestion]:
    it = Ingestion(tmp_path, postgres_database, database_url)
    it.execute("CREATE SCHEMA mine")
    yield it
    it.execute("DROP SCHEMA mine CASCADE")


def test_a_table_is_created_with_the_types_of_the_sample(ingestion: Ingestion) -> None:
    result = ingestion.job(
        "small,big,exact,approximate,yes,day,local,moment,zip,name,nothing\n"
        "1,5000000000,1.50,1e3,true,2026-02-28,2026-02-28 10:00,2026-02-28T10:00:00Z,01234,Ada,\n"
        "-2,1,,2.5,FALSE,,,2026-02-28 10:00:00.5+01:00,1,,\n"
    ).run()
    assert ingestion.types() == [
        ("small", "integer"),
        ("big", "bigint"),
        ("exact", "numeric"),
        ("approximate", "double precision"),
        ("yes", "boolean"),
        ("day", "date"),
        ("local", "timestamp without time zone"),
        ("moment", "timestamp with time zone"),
        ("zip", "text"),
        ("name", "text"),
        ("nothing", "text"),
    ]
    first, second = datetime(2026, 2, 28, 10, tzinfo=UTC), datetime(2026, 2, 28, 9, 0, 0, 500_000, tzinfo=UTC)
    assert ingestion.rows() == [
        (-2, 1, None, 2.5, False, None, None, second, "1", None, None),
        (
            *(1, 5_000_000_000, Decimal("1.50"), 1000.0, True, date(2026, 2, 28)),
            *(datetime(2026, 2, 28, 10), first, "01234", "Ada", None),  # noqa: DTZ001 - the column has no time zone
        ),
    ]
    assert (result["table"], result["rows_loaded"], result["rows_rejected"]) == ("mine.t", 2, 0)
    assert result["column_types"]["moment"] == "timestamptz"
    assert ingestion.tables() == ["t"]


def test_the_sample_becomes_the_table_that_the_csv_module_reads(ingestion: Ingestion) -> None:
    text = SAMPLE.read_text()
    result = ingestion.job(text, chunk_bytes=16 * 1024).run()
    read = [
        tuple(cell or None for cell in row[:5]) + tuple(map(Decimal, row[5:]))
        for row in islice(csv.reader(StringIO(text)), 1, None)
    ]
    assert ingestion.rows() == sorted(read, key=repr)
    assert result["rows_loaded"] == 3_376
    assert [kind for _, kind in ingestion.types()] == ["text"] * 5 + ["numeric"] * 2


def test_the_engine_runs_such_a_job(ingestion: Ingestion, build_app: BuildApp, mailbox: Mailbox) -> None:
    ingestion.data_dir.joinpath("file.csv").write_text(MANY)
    app = build_app([IngestCsv], DATA_DIR=str(ingestion.data_dir))
    given = {"source": "file.csv", "table": "mine.t", "chunk_bytes": 512}
    job_id = app.submitter.submit("ingest_csv", given).job_id
    for tasks in (1, 5, 1):
        app.stages.handle(mailbox.take_job_message())  # dispatches a stage
        mailbox.take_tasks(app, tasks).run(app)
        app.stages.handle(mailbox.take_job_message())  # ends it
    job = app.status.job(job_id).job
    assert job.status == "completed", job.error
    assert (job.result["table"], job.result["rows_loaded"]) == ("mine.t", 200)
    assert len(ingestion.rows()) == 200


def test_the_table_is_not_there_before_the_last_stage(ingestion: Ingestion) -> None:
    job = ingestion.job(MANY, chunk_bytes=512)
    job.run_stage()
    loaded = job.run_stage()
    assert loaded["chunks"] > 2
    assert ingestion.tables() == [STAGING]
    job.run()
    assert ingestion.tables() == ["t"]
    assert ingestion.rows() == sorted(((n, f"name {n}") for n in range(200)), key=repr)


def test_every_task_run_three_times_is_a_task_run_once(ingestion: Ingestion) -> None:
    result = ingestion.job(MANY, chunk_bytes=512).run(runs=3)
    assert result["rows_loaded"] == 200
    assert len(ingestion.rows()) == 200
    assert ingestion.tables() == ["t"]


def test_a_given_type_is_used_and_rows_that_do_not_fit_are_listed(ingestion: Ingestion) -> None:
    result = ingestion.job(
        "a,b\n1,x\nabc,2\n3\n40000,y\n5,\n", column_types={"a": "smallint", "b": "text"}, max_rejected_fraction=0.6
    ).run()
    assert ingestion.types() == [("a", "smallint"), ("b", "text")]
    assert ingestion.rows() == [(1, "x"), (5, None)]
    assert result["rejected"] == [
        {"line": 3, "reason": "the value in the column 'a' is no smallint", "column": "a"},
        {"line": 4, "reason": "the number of columns is 1, not 2"},
        {"line": 5, "reason": "the value in the column 'a' is no smallint", "column": "a"},
    ]


def test_a_job_that_fails_leaves_no_table_and_its_staging_table_is_dropped_later(ingestion: Ingestion) -> None:
    job = ingestion.job("a\n1\nx\ny\n", column_types={"a": "integer"})
    job.run_stage()
    with pytest.raises(TooManyRejectedRowsError, match=r"2 of 3 rows .* line 3: the value in the column 'a'"):
        job.run_stage()
    assert ingestion.tables() == [STAGING]

    ingestion.end(FIRST_JOB, days_ago=0)
    ingestion.job("a\n1\n", "mine.second", SECOND_JOB).run()
    assert ingestion.tables() == [STAGING, "second"]  # it may be retried

    ingestion.end(FIRST_JOB, days_ago=2)
    ingestion.job("a\n1\n", "mine.third", "3" * 32).run()
    assert ingestion.tables() == ["second", "third"]


def test_the_staging_table_of_a_running_job_is_left_alone(ingestion: Ingestion) -> None:
    job = ingestion.job(MANY)
    job.run_stage()
    ingestion.job("a\n1\n", "mine.second", SECOND_JOB).run()
    job.run()
    assert len(ingestion.rows()) == 200


def test_a_table_that_exists_is_not_created(ingestion: Ingestion) -> None:
    ingestion.execute("CREATE TABLE mine.t (a text)")
    with pytest.raises(TableError, match=r"'mine\.t' exists already"):
        ingestion.job("a\n1\n").run()
    assert ingestion.types() == [("a", "text")]


def test_a_table_that_appears_during_the_load_stays_as_it_is(ingestion: Ingestion) -> None:
    job = ingestion.job("a\n1\n")
    job.run_stage()
    job.run_stage()
    ingestion.execute("CREATE TABLE mine.t (a text)")
    with pytest.raises(TableError, match="exists already"):
        job.run()
    assert ingestion.rows() == []
    ingestion.execute("DROP TABLE mine.t")
    job.run()  # a retry
    assert ingestion.rows() == [(1,)]


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_switch_whose_staging_table_was_dropped_fails(ingestion: Ingestion, mode: str) -> None:
    job = ingestion.job("a\n1\n", mode=mode)
    job.run_stage()
    job.run_stage()
    ingestion.execute(f"DROP TABLE mine.{STAGING}")
    with pytest.raises(TableError, match=f"{STAGING} was dropped"):
        job.run()


def test_lockstep_names_all_of_its_own_tables(ingestion: Ingestion) -> None:
    own = {row[0] for row in ingestion.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema")}
    assert own <= OWN_TABLES


def test_a_schema_that_does_not_exist_is_named(ingestion: Ingestion) -> None:
    with pytest.raises(TableError, match="there is no schema 'elsewhere'"):
        ingestion.job("a\n1\n", "elsewhere.t").run()


def test_a_table_of_lockstep_is_refused_where_its_schema_has_another_name(
    ingestion: Ingestion, database_url: str
) -> None:
    url = f"{database_url}?options=-csearch_path%3Dmine,public"
    with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
        job = replace(ingestion, database=database).job("a\n1\n", "mine.jobs")
        with pytest.raises(TableError, match="'jobs' is one of Lockstep's own"):
            job.run()


def test_a_table_without_a_schema_lies_where_lockstep_does(ingestion: Ingestion, database_url: str) -> None:
    url = f"{database_url}?options=-csearch_path%3Dmine,public"
    with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
        result = replace(ingestion, database=database).job("a\n1\n", "t").run()
    assert (result["table"], ingestion.rows()) == ("mine.t", [(1,)])


AWKWARD = [
    "select",
    "Upper Case",
    'a "quoted" name',
    "100%",
    "%s",
    "%(x)s",
    "{columns}",
    "\u00e9\u6f22",
    "a;b--",
    "x" * 63,
]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_that_needs_quoting_is_taken_as_written(ingestion: Ingestion, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    header = ",".join('"' + each.replace('"', '""') + '"' for each in [name, "chunk_index", "chunk_index_"])
    for mode in ("create", "append", "replace"):
        job_id = f"{['create', 'append', 'replace'].index(mode) + 1:032x}"
        ingestion.job(f"{header}\n1,2,3\n", f"mine.{quoted}", job_id, mode=mode).run(runs=2)
        assert ingestion.tables() == [name]
        assert ingestion.types(f"mine.{quoted}") == [(n, "integer") for n in (name, "chunk_index", "chunk_index_")]
        assert ingestion.rows(f"SELECT * FROM mine.{quoted}") == [(1, 2, 3)] * (2 if mode == "append" else 1)


def test_a_schema_may_need_quoting_too(ingestion: Ingestion) -> None:
    ingestion.execute('CREATE SCHEMA "100% ""mine"""')
    try:
        ingestion.job("a\n1\n", '"100% ""mine""".t').run(runs=2)
        assert ingestion.rows('SELECT * FROM "100% ""mine""".t') == [(1,)]
    finally:
        ingestion.execute('DROP SCHEMA "100% ""mine""" CASCADE')


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("x" * 64, "at most 63 bytes"),
        ("\u00e9" * 32, "has 64"),
        ("ctid", "keeps the column name 'ctid' for itself"),
        ('"two\nlines"', "printable"),
        (",".join(f"c{n}" for n in range(1_600)), "1,600 columns"),
    ],
)
def test_a_header_that_no_table_can_have_is_refused_in_words(ingestion: Ingestion, header: str, reason: str) -> None:
    with pytest.raises(TableError, match=reason):
        ingestion.job(f"{header}\n1\n").run()
    assert ingestion.tables() == []


def test_a_type_for_a_column_that_the_file_does_not_have_is_refused(ingestion: Ingestion) -> None:
    with pytest.raises(TableError, match="column_types names the column 'b'"):
        ingestion.job("a\n1\n", column_types={"b": "text"}).run()


def test_rows_are_appended_with_the_types_of_the_table(ingestion: Ingestion) -> None:
    ingestion.execute("CREATE TABLE mine.t (id serial PRIMARY KEY, code varchar, n numeric); "
                      "INSERT INTO mine.t (code, n) VALUES ('0', 0)")  # fmt: skip
    job = ingestion.job("n,code\n1,007\nx,8\n2,9\n", mode="append")
    job.run_stage()
    job.run_stage()
    assert ingestion.rows("SELECT code FROM mine.t") == [("0",)]
    job.run(runs=3)
    assert ingestion.rows("SELECT code, n FROM mine.t") == [("0", 0), ("007", 1), ("9", 2)]
    assert ingestion.tables() == ["t"]


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (None, "there is no table 'mine.t'"),
        ("CREATE TABLE mine.t (b text)", "has no column 'a'"),
        ("CREATE TABLE mine.t (a integer GENERATED ALWAYS AS IDENTITY)", "has no column 'a'"),
        ("CREATE TABLE mine.t (a uuid)", "is of type uuid"),
        ("CREATE VIEW mine.t AS SELECT 1 AS a", "not a table that the mode append"),
    ],
)
def test_a_table_that_cannot_be_appended_to_is_refused_before_rows_are_loaded(
    ingestion: Ingestion, definition: str | None, reason: str
) -> None:
    if definition is not None:
        ingestion.execute(definition)
    with pytest.raises(TableError, match=reason):
        ingestion.job("a\n1\n", mode="append").run_stage()


def test_rows_that_a_constraint_of_the_table_refuses_leave_it_as_it_was(ingestion: Ingestion) -> None:
    ingestion.execute("CREATE TABLE mine.t (a integer UNIQUE)")
    with pytest.raises(TableError, match=r"refuses the rows: .*unique"):
        ingestion.job("a\n1\n2\n1\n", mode="append").run()
    assert ingestion.rows() == []


def test_a_table_is_replaced_once(ingestion: Ingestion) -> None:
    ingestion.job("a\n1\n2\n", mode="replace").run()  # there is none yet
    job = ingestion.job("b,c\nx,1.5\n", job_id=SECOND_JOB, mode="replace")
    job.run_stage()
    job.run_stage()
    assert ingestion.rows() == [(1,), (2,)]
    (task,) = job.tasks()
    job.run_task(task)
    ingestion.execute("INSERT INTO mine.t VALUES ('later', 2)")
    job.run_task(task)
    assert ingestion.types() == [("b", "text"), ("c", "numeric")]
    assert ingestion.rows() == [("later", 2), ("x", Decimal("1.5"))]
    assert ingestion.tables() == ["t"]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_late_run_of_the_first_task_leaves_no_staging_table(ingestion: Ingestion, mode: str) -> None:
    ingestion.execute("CREATE TABLE mine.t (a integer)")
    job = ingestion.job("a\n1\n", mode=mode)
    (first,) = job.tasks()
    job.run()
    job.run_task(first)
    assert ingestion.tables() == ["t"]


def test_two_runs_of_a_load_task_at_once_load_its_rows_once(ingestion: Ingestion) -> None:
    job = ingestion.job("a\n" + "1\n" * 20_000, chunk_bytes=1024 * 1024)
    job.run_stage()
    (task,) = job.tasks()
    with ThreadPoolExecutor(4) as threads:
        assert [each["rows_loaded"] for each in threads.map(job.run_task, [task] * 4)] == [20_000] * 4
    assert ingestion.rows(f"SELECT count(*) FROM mine.{STAGING}") == [(20_000,)]


def test_a_number_of_rows_that_the_tasks_did_not_report_is_not_switched(ingestion: Ingestion) -> None:
    job = ingestion.job("a\n1\n2\n")
    job.run_stage()
    job.run_stage()
    ingestion.execute(f"DELETE FROM mine.{STAGING} WHERE a = 1")
    with pytest.raises(TableError, match="holds 1 rows of this job, but its tasks loaded 2"):
        job.run()
    assert ingestion.tables() == [STAGING]


def test_a_switch_waits_for_a_late_run_of_a_load_task(ingestion: Ingestion, database_url: str) -> None:
    job = ingestion.job("a\n1\n")
    job.run_stage()
    job.run_stage()
    with closing(psycopg2.connect(database_url)) as late, ThreadPoolExecutor(1) as threads:
        with late, late.cursor() as cur:
            cur.execute(f"INSERT INTO mine.{STAGING} VALUES (2, 0)")
            switching = threads.submit(job.run)
            while not ingestion.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
                assert not switching.done()
        with pytest.raises(TableError, match="holds 2 rows of this job, but its tasks loaded 1"):
            switching.result()
    assert ingestion.tables() == [STAGING]


def test_a_new_job_with_the_id_of_an_older_one_keeps_nothing_of_it(ingestion: Ingestion) -> None:
    ingestion.job("a\n1\n")
    ingestion.execute(
        f"INSERT INTO ingest_csv_tables VALUES ('{FIRST_JOB}', now() - interval '1 day', 'mine', now()); "
        f"CREATE TABLE mine.{STAGING} (a text)"
    )
    columns = [TypedColumn("a", ColumnType.INTEGER)]
    with ingestion.database.transaction() as work:
        work.repository(TypedTables).begin(StagingTable(FIRST_JOB, "mine", columns))
    assert ingestion.types(f"mine.{STAGING}") == [("a", "integer"), ("chunk_index", "integer")]


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in FITTING.items() for cell in cells])
def test_a_value_that_fits_is_one_that_postgresql_takes(database_url: str, kind: str, cell: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cur:
        cur.execute(f"SELECT %s::{kind} IS NOT NULL", (cell,))
        assert cur.fetchone() == (True,)


def test_a_view_is_not_replaced(ingestion: Ingestion) -> None:
    ingestion.execute("CREATE VIEW mine.t AS SELECT 1 AS a")
    with pytest.raises(TableError, match="not a table that the mode replace"):
        ingestion.job("a\n1\n", mode="replace").run()


def test_a_new_job_with_the_id_of_a_pruned_one_loads_again(ingestion: Ingestion) -> None:
    ingestion.job("a\n1\n", mode="replace").run()
    ingestion.execute("DELETE FROM jobs")
    ingestion.job("b\n2\n", mode="replace").run()
    assert ingestion.rows() == [(2,)]


def test_the_staging_table_of_a_pruned_job_is_dropped_and_forgotten(ingestion: Ingestion) -> None:
    job = ingestion.job("a\n1\n")
    job.run_stage()
    ingestion.execute("DELETE FROM jobs")
    ingestion.job("a\n1\n", "mine.second", SECOND_JOB).run()
    assert ingestion.tables() == ["second"]
    assert ingestion.rows("SELECT job_id FROM ingest_csv_tables") == [(SECOND_JOB,)]


def test_a_table_that_a_view_depends_on_is_not_replaced(ingestion: Ingestion) -> None:
    ingestion.execute("CREATE TABLE mine.t AS SELECT 7 AS a; CREATE VIEW mine.v AS SELECT a FROM mine.t")
    job = ingestion.job("a\n1\n", mode="replace")
    with pytest.raises(DatabaseError, match="other objects depend on it"):
        job.run()
    assert ingestion.rows() == [(7,)]
    ingestion.execute("DROP VIEW mine.v")
    job.run()  # a retry
    assert ingestion.rows() == [(1,)]


def test_a_staging_table_of_a_pruned_job_with_this_id_is_not_used(ingestion: Ingestion) -> None:
    old = ingestion.job("a\n1\n", mode="replace")
    old.run_stage()
    old.run_stage()
    ingestion.execute("DELETE FROM jobs")
    ingestion.job("a\nx\n", mode="replace").run()
    assert (ingestion.types(), ingestion.rows()) == ([("a", "text")], [("x",)])
