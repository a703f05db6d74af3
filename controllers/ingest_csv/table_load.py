"""Loads a CSV file into a table of the user: the tasks of a job with the parameter `table`.

The rows of a job are collected in a staging table, and the last stage switches in one transaction: so a job that fails
or is cancelled leaves the table as it was.
"""

import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from controllers import authoring as lockstep
from controllers.ingest_csv.column_types import ColumnType
from controllers.ingest_csv.csv_layout import name_columns
from controllers.ingest_csv.errors import TableError
from controllers.ingest_csv.range_reader import read_range
from controllers.ingest_csv.rows import RejectedRows
from controllers.ingest_csv.table_columns import appended_columns, new_columns
from controllers.ingest_csv.table_name import TableName
from controllers.ingest_csv.typed_rows import TypedColumn, parse_typed_range
from controllers.ingest_csv.typed_tables import AbandonedTable, StagingTable, TypedTables

logger = logging.getLogger(__name__)


class TableMode(StrEnum):
    """What happens to the table."""

    CREATE = "create"
    APPEND = "append"
    REPLACE = "replace"


_TABLE = "r"
_PARTITIONED = "p"


@lockstep.task_type("ingest_csv.prepare_table")
def prepare(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Decides the types of the columns, and creates the staging table; returns the layout with both.

    Raises:
        TableError: the table cannot take the columns of the file, or exists already, or does not.
    """
    _drop_abandoned(context)
    wanted, layout = parameters["table"], parameters["layout"]
    names = name_columns(layout["header"], layout["column_count"])

    def begin(work: lockstep.UnitOfWork) -> tuple[str, list[TypedColumn]]:
        tables = work.repository(TypedTables)
        schema = checked_schema(tables, TableName(wanted["schema"], wanted["name"]), wanted["mode"])
        if wanted["mode"] == TableMode.APPEND:
            columns = appended_columns(names, tables.columns(schema, wanted["name"]))
        else:
            columns = new_columns(names, layout["sampled_types"], wanted["column_types"])
        tables.begin(StagingTable(context.job_id, schema, columns))
        return schema, columns

    schema, columns = context.services.transact(begin)
    table = {"schema": schema, "name": wanted["name"], "mode": wanted["mode"]}
    return {**layout, "table": table, "types": [column.type for column in columns]}


@lockstep.task_type("ingest_csv.load_table")
def load_table(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Loads one range into the staging table; loading it again gives the same rows.

    Raises:
        SourceError: the source cannot be used, or the range has changed since the file was cut.
        SourceUnavailableError: the source cannot be read now.
        TableError: the staging table was dropped.
    """
    data = read_range(parameters, context.services)
    staging = _staging(context.job_id, parameters)

    def replace(work: lockstep.UnitOfWork) -> dict[str, lockstep.JsonValue]:
        tables = work.repository(TypedTables)
        _require(tables, staging)
        rejected = RejectedRows()  # a repeated transaction parses again
        rows = parse_typed_range(data, staging.columns, parameters["delimiter"], parameters["first_line"], rejected)
        loaded = tables.replace_chunk(staging, context.task_index, rows)
        return rejected.result(loaded)

    return context.services.transact(replace)


load_table_large = lockstep.task_type("ingest_csv.load_table_large", lane=lockstep.Lane.LONG)(load_table.handler)


@lockstep.task_type("ingest_csv.switch_table")
def switch(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Compares the number of rows with the number that the load tasks reported, and makes the rows the table's.

    Raises:
        TableError: the numbers differ, or the table has changed since the first stage so that it cannot take the rows.
    """
    staging = _staging(context.job_id, parameters)
    try:
        context.services.transact(lambda work: _switch(work.repository(TypedTables), staging, parameters))
    except lockstep.ConstraintViolationError as exc:
        raise TableError(f"the table refuses the rows: {exc}") from exc
    return {"rows_found": parameters["expected_rows"]}


def layout_task(
    layout: Mapping[str, Any], name: TableName, mode: TableMode, column_types: Mapping[str, ColumnType]
) -> lockstep.TaskDefinition:
    """Defines the task of the first stage."""
    table = {"schema": name.schema, "name": name.name, "mode": mode, "column_types": dict(column_types)}
    return prepare.task(0, {"layout": layout, "table": table})


def _switch(tables: TypedTables, staging: StagingTable, parameters: lockstep.TaskParameters) -> None:
    if not tables.mark_switched(staging.job_id):
        if tables.has_switched(staging.job_id):
            return  # by an earlier run of this task
        raise _dropped(staging)
    _require(tables, staging)
    expected, found = parameters["expected_rows"], tables.close(staging)
    if found != expected:
        raise TableError(f"the staging table holds {found:,} rows of this job, but its tasks loaded {expected:,}")
    table = parameters["table"]
    _check_kind(tables, staging.schema, table["name"], table["mode"])
    actions = {TableMode.CREATE: tables.create, TableMode.APPEND: tables.append, TableMode.REPLACE: tables.replace}
    actions[TableMode(table["mode"])](staging, table["name"])


def checked_schema(tables: TypedTables, name: TableName, mode: str) -> str:
    """Returns the schema of a table that a job may load into.

    Raises:
        TableError: there is no such schema, or the mode is not for what is there.
    """
    own = tables.current_schema()
    schema = name.schema or own
    if schema == own:
        try:
            name.refuse_own()
        except ValueError as exc:
            raise TableError(str(exc)) from exc
    if not tables.has_schema(schema):
        raise TableError(f"there is no schema {schema!r}")
    _check_kind(tables, schema, name.name, mode)
    return schema


def _check_kind(tables: TypedTables, schema: str, name: str, mode: str) -> None:
    kind = tables.kind(schema, name)
    shown = f"{schema}.{name}"
    if mode == TableMode.CREATE and kind is not None:
        raise TableError(f"{shown!r} exists already; the modes append and replace are for a table that exists")
    if mode == TableMode.APPEND and kind is None:
        raise TableError(f"there is no table {shown!r} to append to")
    allowed = {TableMode.APPEND: (_TABLE, _PARTITIONED), TableMode.REPLACE: (_TABLE,)}.get(TableMode(mode), ())
    if kind is not None and kind not in allowed:
        raise TableError(f"{shown!r} is not a table that the mode {mode} can change")


def _staging(job_id: str, parameters: lockstep.TaskParameters) -> StagingTable:
    return StagingTable(job_id, parameters["table"]["schema"], _columns(parameters))


def _columns(parameters: lockstep.TaskParameters) -> Sequence[TypedColumn]:
    names = name_columns(parameters["header"], parameters["column_count"])
    return [TypedColumn(name, ColumnType(kind)) for name, kind in zip(names, parameters["types"], strict=True)]


def _require(tables: TypedTables, staging: StagingTable) -> None:
    if not tables.exists(staging):
        raise _dropped(staging)


def _dropped(staging: StagingTable) -> TableError:
    return TableError(f"the staging table {staging.schema}.{staging.name} was dropped; submit a new job")


def _drop_abandoned(context: lockstep.TaskContext) -> None:
    """Drops the staging tables of other jobs that ended; what goes wrong with them is no failure of this one."""
    found = context.services.transact(lambda work: work.repository(TypedTables).abandoned(context.job_id))
    for table in found:
        try:
            context.services.transact(partial(_drop, table))
        except lockstep.LockstepError as exc:
            logger.warning("the staging table of job %s cannot be dropped now: %s", table.job_id, exc)


def _drop(table: AbandonedTable, work: lockstep.UnitOfWork) -> None:
    work.repository(TypedTables).drop_abandoned(table)
