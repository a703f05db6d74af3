"""Loads a CSV file into a table of the user (`table_load.py`), or else as JSON into the table `ingested_rows`.

Three stages: the layout of the file, then ranges of whole records in parallel, then a check of the count.
"""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from controllers import authoring as lockstep
from controllers.ingest_csv.csv_layout import name_columns
from controllers.ingest_csv.ingested_rows import IngestedRows
from controllers.ingest_csv.load_summary import check_rejected_share, sum_up, warnings_about
from controllers.ingest_csv.parameters import IngestCsvParameters
from controllers.ingest_csv.range_reader import read_range
from controllers.ingest_csv.record_ranges import split
from controllers.ingest_csv.rows import RejectedRows, parse_range
from controllers.ingest_csv.source_layout import read_source_layout
from controllers.ingest_csv.submission_check import check
from controllers.ingest_csv.table_load import layout_task, load_table, load_table_large, prepare, switch
from controllers.ingest_csv.table_name import TableName
from controllers.ingest_csv.table_sample import sample_types

_FAST_CHUNK_BYTES = 256 * 1024
"""An invocation of the fast lane has up to 100 tasks, so up to 25 MiB. At about 2 MiB a second they end long before
their message locks (60 s). Larger chunks take the long lane, one at a time."""

RECORD_WORKING_BYTES = 40 * 1024 * 1024
"""What one record of the largest size takes while it is parsed and written, most of it as a third of a million cells of
two bytes. Common rows take some kilobytes."""

MAX_LISTED_COLUMNS = 1_000
"""Columns that the job's result names."""


@lockstep.task_type("ingest_csv.layout")
def keep_layout(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Returns its parameters: a stage's result is made of task results only.

    So what is derived from the file is the result of a stage, before any row is loaded, also for a file without rows.
    """
    return dict(parameters)


@lockstep.task_type("ingest_csv.load")
def load(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Loads one range; loading it again gives the same rows.

    Raises:
        SourceError: the source cannot be used, or the range has changed since the file was cut.
        SourceUnavailableError: the source cannot be read now.
    """
    data = read_range(parameters, context.services)
    columns = name_columns(parameters["header"], parameters["column_count"])

    def replace(work: lockstep.UnitOfWork) -> dict[str, lockstep.JsonValue]:
        rejected = RejectedRows()  # a repeated transaction parses again
        rows = parse_range(data, columns, parameters["delimiter"], parameters["first_line"], rejected)
        loaded = work.repository(IngestedRows).replace_chunk(context.job_id, context.task_index, rows)
        return rejected.result(loaded)

    return context.services.transact(replace)


load_large = lockstep.task_type("ingest_csv.load_large", lane=lockstep.Lane.LONG)(load.handler)


@lockstep.task_type("ingest_csv.verify")
def verify(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Compares the number of rows in the table with the number that the load tasks reported.

    Deletes rows of later chunks, left by a pruned job with the same id.

    Raises:
        PermanentTaskError: the numbers differ.
    """

    def count(work: lockstep.UnitOfWork) -> int:
        rows = work.repository(IngestedRows)
        rows.clear_from(context.job_id, parameters["chunks"])
        return rows.count(context.job_id)

    expected: int = parameters["expected_rows"]
    found = context.services.transact(count)
    if found != expected:
        raise lockstep.PermanentTaskError(
            f"the table holds {found:,} rows of this job, but its tasks loaded {expected:,}"
        )
    return {"rows_found": found}


class IngestCsv(lockstep.JobController[IngestCsvParameters]):
    """Loads a CSV file."""

    job_type = "ingest_csv"
    stages = (lockstep.StageSpec("layout"), lockstep.StageSpec("load"), lockstep.StageSpec("verify"))
    task_types = (keep_layout, load, load_large, verify, prepare, load_table, load_table_large, switch)
    migrations = Path(__file__).with_name("migrations")

    def check_submission(self, parameters: IngestCsvParameters, services: lockstep.Services) -> None:
        """Refuses a job whose file or table could not be used now."""
        check(parameters, services)

    def exclusive_key(self, parameters: IngestCsvParameters) -> str | None:
        """Jobs load into a table one after another; rows as JSON have no table of their own."""
        return None if parameters.table is None else TableName.parse(parameters.table).exclusive_key

    def create_stage_tasks(
        self, job: lockstep.JobContext[IngestCsvParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        """Yields a task that keeps the layout, then one for each range of the file, then one that counts the rows."""
        match stage.name:
            case "layout":
                yield _layout_task(job)
            case "load":
                yield from _load_tasks(job, stage)
            case _:
                loaded = stage.previous_result
                expected = {"expected_rows": loaded["rows_loaded"]}
                if "staged" in loaded:
                    yield switch.task(0, {**expected, **loaded["staged"]})
                else:
                    yield verify.task(0, {**expected, "chunks": loaded["chunks"]})

    def queue_stage_tasks(
        self,
        job: lockstep.JobContext[IngestCsvParameters],
        stage: lockstep.StageContext,
        window: lockstep.BatchWindow,
    ) -> None:
        """Queues the tasks of a stage.

        Raises:
            SourceError: an earlier dispatch queued other tasks. They are derived from the file alone, so an error that
                speaks to the authors of job types would mislead.
        """
        try:
            super().queue_stage_tasks(job, stage, window)
        except lockstep.NonDeterministicStageError as exc:
            raise lockstep.SourceError(
                f"the source {lockstep.display_name(job.parameters.source)!r} is cut into other tasks than at first: "
                "it changed after the job began to read it, or another version of the app was deployed; "
                "submit a new job"
            ) from exc

    def aggregate_stage_results(
        self, job: lockstep.JobContext[IngestCsvParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        """Sums the chunks' counts and lists the first rejected rows in the order of the file.

        Raises:
            TooManyRejectedRowsError: more rows are rejected than the job's parameters allow.
        """
        completed = (each.result for each in results if each.status == lockstep.TaskStatus.COMPLETED)
        if stage.name != "load":
            return next(completed, None)
        total = sum_up(completed)
        given = job.parameters
        check_rejected_share(total, given.max_rejected_fraction, stage.previous_result, given.delimiter)
        if given.table is not None:
            total["staged"] = _staged(stage.previous_result)
        return total

    def aggregate_job_results(
        self, job: lockstep.JobContext[IngestCsvParameters], stage_results: list[lockstep.JsonValue]
    ) -> lockstep.JsonValue:
        """Returns the result of the load, with the columns and the source of the rows."""
        layout, loaded, _ = stage_results
        columns = name_columns(layout["header"], layout["column_count"])[:MAX_LISTED_COLUMNS]
        result = {
            **loaded,
            "columns": columns,
            "column_count": layout["column_count"],
            "warnings": warnings_about(layout),
            "source": lockstep.display_name(job.parameters.source),
        }
        if result.pop("staged", None) is not None:
            result["table"] = f"{layout['table']['schema']}.{layout['table']['name']}"
            result["column_types"] = dict(zip(columns, layout["types"], strict=False))
        return result


def _layout_task(job: lockstep.JobContext[IngestCsvParameters]) -> lockstep.TaskDefinition:
    given = job.parameters
    with job.services.open_source(given.source) as source:
        head, layout = read_source_layout(source, given)
    if given.table is None:
        return keep_layout.task(0, layout)
    layout["sampled_types"] = sample_types(head, layout, given.delimiter)
    return layout_task(layout, TableName.parse(given.table), given.mode, given.column_types)


def _staged(layout: Mapping[str, Any]) -> dict[str, lockstep.JsonValue]:
    """Returns what the tasks that load into a staging table need to know of it."""
    return {name: layout[name] for name in ("header", "column_count", "table", "types")}


def _load_tasks(job: lockstep.JobContext[IngestCsvParameters], stage: lockstep.StageContext) -> lockstep.Tasks:
    given, layout = job.parameters, stage.previous_result
    fast, large = (load, load_large) if given.table is None else (load_table, load_table_large)
    loading = fast if given.chunk_bytes <= _FAST_CHUNK_BYTES else large
    shared = {"source": given.source, "delimiter": given.delimiter}
    shared |= {"header": layout["header"], "column_count": layout["column_count"]}
    if given.table is not None:
        shared |= _staged(layout)
    offset, first_line = stage.cursor or (layout["offset"], layout["first_line"])
    with job.services.open_source(given.source) as source:
        _, found = read_source_layout(source, given)
        if lockstep.json_text.encode(found) != lockstep.json_text.encode({name: layout.get(name) for name in found}):
            raise lockstep.source_changed(lockstep.display_name(given.source))
        ranges = split(
            lockstep.blocks(source, offset), given.delimiter, given.chunk_bytes, offset=offset, first_line=first_line
        )
        for index, (each, following) in enumerate(pairwise(chain(ranges, [None])), stage.first_index):
            assert each is not None, "only the last one is"
            # To read a large file takes many slices: the next one goes on where the following range begins.
            cursor = following and [following.offset, following.first_line]
            yield loading.task(index, {**shared, **asdict(each)}, cursor=cursor)
