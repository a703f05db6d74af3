import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from controllers.context import StageContext
from controllers.ingest_csv import IngestCsv
from controllers.ingest_csv.csv_layout import MAX_COLUMNS, MAX_HEADER_BYTES
from controllers.ingest_csv.ingested_rows import IngestedRows
from controllers.ingest_csv.job import MAX_LISTED_COLUMNS
from core.definitions import TaskDefinition
from core.errors import PermanentTaskError, TransactionConflictError
from core.lanes import Lane
from tests.fakes.database import FakeDatabase
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.unit.controllers.ingest_csv.support import Ingestion

SAMPLES = Path(__file__).parents[4] / "samples"


def test_a_job_loads_every_row_and_says_what_it_did(ingestion: Ingestion) -> None:
    source = ingestion.write(b"id,name\n1,Ada\n2,Grace\n")
    assert ingestion.run(source) == {
        "rows_loaded": 2,
        "rows_rejected": 0,
        "rejected": [],
        "chunks": 1,
        "columns": ["id", "name"],
        "column_count": 2,
        "warnings": [],
        "source": source,
    }
    assert ingestion.rows == [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Grace"}]


def test_the_sample_makes_more_than_two_full_batches_and_loads_whole() -> None:
    ingestion = Ingestion(SAMPLES)
    result = ingestion.run("airports.csv", chunk_bytes=800)
    assert result["chunks"] > 200
    assert (result["rows_loaded"], result["rows_rejected"]) == (3_376, 0)
    assert result["columns"] == ["iata", "name", "city", "state", "country", "latitude", "longitude"]
    assert len(ingestion.rows) == 3_376
    assert any(row["name"] == 'W. H. "Bud" Barron' for row in ingestion.rows)


def test_rejected_rows_are_listed_by_their_line_and_do_not_stop_the_job(ingestion: Ingestion) -> None:
    good = b"1,2\n" * 200
    source = ingestion.write(b"a,b\n" + good + b'"x\ny",2\n1,2,3\n' + good + b"\xff,2\n1,\x00\n1\n")
    result = ingestion.run(source, chunk_bytes=512)
    assert result["chunks"] > 2
    assert result["rows_loaded"] == 401
    assert result["rows_rejected"] == 4
    assert result["rejected"] == [
        {"line": 204, "reason": "the number of columns is 3, not 2"},
        {"line": 405, "reason": "the row is not UTF-8"},
        {"line": 406, "reason": "the row holds a NUL character"},
        {"line": 407, "reason": "the number of columns is 1, not 2"},
    ]


def test_rows_behind_a_quote_that_is_never_closed_are_not_accepted_as_one_cell(ingestion: Ingestion) -> None:
    rows = b"1,Ulm,10\n" * 500
    result = ingestion.run(ingestion.write(b"id,city,pop\n" + rows + b'2,Bonn,"20\n' + rows), chunk_bytes=512)
    assert (result["rows_loaded"], result["rows_rejected"]) == (500, 1)
    assert result["rejected"] == [{"line": 502, "reason": "the quote opened on line 502 is never closed"}]
    assert all(row == {"id": "1", "city": "Ulm", "pop": "10"} for row in ingestion.rows)


def test_a_job_lists_the_first_hundred_rejected_rows_and_counts_all(ingestion: Ingestion) -> None:
    source = ingestion.write(b"a,b\n" + (b"1,2,3\n" * 19 + b"1,2," + b"x" * 500 + b"\n") * 10)
    result = ingestion.run(source, chunk_bytes=512, max_rejected_fraction=1.0)
    assert result["rows_rejected"] == 200
    assert [each["line"] for each in result["rejected"]] == list(range(2, 102))


def test_the_rejected_rows_that_are_listed_are_the_first_of_the_file(ingestion: Ingestion) -> None:
    more_than_a_task_lists = b"1\n" * 30 + b"1,2\n" * 150
    result = ingestion.run(ingestion.write(b"a,b\n" + more_than_a_task_lists * 2), chunk_bytes=660)
    assert result["rows_rejected"] == 60
    assert [each["line"] for each in result["rejected"]] == list(range(2, 22))


def test_loading_a_chunk_again_does_not_double_its_rows(ingestion: Ingestion) -> None:
    job = ingestion.job(ingestion.write(b"a\n" + b"value\n" * 300), chunk_bytes=512)
    tasks = list(ingestion.load_tasks(job))
    first = [ingestion.run_task(each) for each in tasks]
    assert [ingestion.run_task(each) for each in tasks] == first
    assert len(ingestion.rows) == 300


def test_the_same_file_gives_the_same_tasks_again(ingestion: Ingestion) -> None:
    job = ingestion.job(ingestion.write(b"a\n" + b"value\n" * 300), chunk_bytes=512)
    first = [each.encoded_parameters for each in ingestion.load_tasks(job)]
    assert [each.encoded_parameters for each in ingestion.load_tasks(job)] == first
    assert len(first) > 1


def test_tasks_are_cut_while_the_file_is_read(ingestion: Ingestion) -> None:
    source = ingestion.write(b"a\n" + b"value\n" * 1_000_000)
    tasks = ingestion.load_tasks(ingestion.job(source, chunk_bytes=512))
    assert next(tasks).parameters["offset"] == 2
    ingestion.write(b"")
    assert sum(1 for _ in tasks) < 3_000  # the rest of the one block that was read before the file shrank


def test_a_header_alone_completes_with_no_rows(ingestion: Ingestion) -> None:
    result = ingestion.run(ingestion.write(b"a,b\n"))
    assert (result["rows_loaded"], result["chunks"], result["columns"]) == (0, 0, ["a", "b"])


@pytest.mark.parametrize("has_header", [True, False])
def test_thousands_of_columns_without_a_name_are_loaded(ingestion: Ingestion, has_header: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    width = 5_000
    source = ingestion.write((b"," * (width - 1) + b"\n") * 3)
    result = ingestion.run(source, has_header=has_header)
    assert (result["rows_loaded"], result["column_count"]) == (2 if has_header else 3, width)
    assert result["columns"] == [f"column_{number}" for number in range(1, MAX_LISTED_COLUMNS + 1)]
    assert all(len(row) == width for row in ingestion.rows)


@pytest.mark.parametrize("has_header", [True, False])
def test_no_result_of_a_task_grows_with_the_columns(ingestion: Ingestion, has_header: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """A result that is too large would fail its task when its rows are in the table already."""
    longest = b"," * ((MAX_HEADER_BYTES - 4) // 3 if has_header else MAX_COLUMNS - 1) + b"\n"
    job = ingestion.job(ingestion.write(longest * 2), has_header=has_header)
    assert len(json.dumps(ingestion.layout(job))) < 24 * 1024
    for task in ingestion.load_tasks(job):
        assert len(json.dumps(ingestion.run_task(task))) < 100


def test_a_file_without_a_header_gets_numbered_columns(ingestion: Ingestion) -> None:
    result = ingestion.run(ingestion.write(b"1;2\n3;4\n"), has_header=False, delimiter=";")
    assert result["columns"] == ["column_1", "column_2"]
    assert ingestion.rows == [{"column_1": "1", "column_2": "2"}, {"column_1": "3", "column_2": "4"}]


@pytest.mark.parametrize(
    ("content", "parameters", "rows"),
    [
        (b'"Site\r\n(code)","Depth, m"\r\nA1,3\r\n', {}, [{"Site\r\n(code)": "A1", "Depth, m": "3"}]),
        (b'"line 1\nline 2",10\n', {"has_header": False}, [{"column_1": "line 1\nline 2", "column_2": "10"}]),
    ],
    ids=["header", "no header"],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
def test_a_line_break_in_the_first_cell_is_read_with_and_without_a_byte_order_mark(
    ingestion: Ingestion, content: bytes, parameters: dict[str, bool], rows: list[dict[str, str]], mark: bytes
) -> None:
    result = ingestion.run(ingestion.write(mark + content), **parameters)
    assert result["rows_rejected"] == 0
    assert ingestion.rows == rows


def test_a_missing_row_fails_the_verification_for_good(ingestion: Ingestion) -> None:
    job = ingestion.job(ingestion.write(b"a\n1\n"))
    stage = StageContext(3, "verify", previous_result={"rows_loaded": 2, "chunks": 1})
    ingestion.run(job.parameters.source)
    (task,) = IngestCsv().create_stage_tasks(job, stage)
    with pytest.raises(PermanentTaskError, match="holds 1 rows of this job, but its tasks loaded 2"):
        ingestion.run_task(task, stage=3)


def test_a_shorter_file_under_the_same_job_id_replaces_all_rows_of_the_longer_one(ingestion: Ingestion) -> None:
    """A job that was deleted leaves its rows; submitted again, it has the same id, and the file may be another."""
    ingestion.run(ingestion.write(b"a\n" + b"1\n" * 2_000), chunk_bytes=512)
    ingestion.run(ingestion.write(b"a\n2\n3\n"), chunk_bytes=512)
    assert ingestion.rows == [{"a": "2"}, {"a": "3"}]


@pytest.mark.parametrize(("chunk_bytes", "lane"), [(64 * 1024, Lane.FAST), (8 * 1024 * 1024, Lane.LONG)])
def test_large_chunks_take_the_long_lane(ingestion: Ingestion, chunk_bytes: int, lane: Lane) -> None:
    source = ingestion.write(b"a\n1\n")
    (task,) = ingestion.load_tasks(ingestion.job(source, chunk_bytes=chunk_bytes))
    declared = ingestion.registry.task_type(task.task_type)
    assert declared is not None
    assert declared.policy.lane == lane


def test_definitions_count_from_zero(ingestion: Ingestion) -> None:
    tasks: list[TaskDefinition] = list(
        ingestion.load_tasks(ingestion.job(ingestion.write(b"a\n" + b"1\n" * 2_000), chunk_bytes=512))
    )
    assert [task.index for task in tasks] == list(range(len(tasks)))


def test_a_repeated_transaction_counts_its_rows_once(ingestion: Ingestion) -> None:
    class _LosesOnce(FakeIngestedRows):
        lost = False

        @override
        def replace_chunk(self, job_id: str, chunk_index: int, rows: Iterable[tuple[int, str]]) -> int:
            loaded = super().replace_chunk(job_id, chunk_index, rows)
            if not _LosesOnce.lost:
                _LosesOnce.lost = True
                raise TransactionConflictError("a deadlock")
            return loaded

    ingestion = replace(ingestion, database=FakeDatabase(fakes={IngestedRows: _LosesOnce}))
    result = ingestion.run(ingestion.write(b"a,b\n1,2\n1\n3,4\n"))
    assert _LosesOnce.lost
    assert (result["rows_loaded"], result["rows_rejected"], len(result["rejected"])) == (2, 1, 1)
