"""Looks at the file and the table of a job before it is accepted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from controllers import authoring as lockstep
from controllers.ingest_csv.column_types import ColumnType
from controllers.ingest_csv.csv_layout import name_columns
from controllers.ingest_csv.errors import ColumnTypesError, HeaderError
from controllers.ingest_csv.parameters import IngestCsvParameters
from controllers.ingest_csv.source_layout import read_source_layout
from controllers.ingest_csv.table_columns import appended_columns, new_columns
from controllers.ingest_csv.table_load import TableMode, checked_schema
from controllers.ingest_csv.table_name import TableName
from controllers.ingest_csv.typed_tables import TypedTables


def check(given: IngestCsvParameters, services: lockstep.Services) -> None:
    """Returns when a job with these parameters could load its file now.

    The job looks again when it runs: the file and the table may have changed by then.

    Raises:
        InvalidParameterError: the source, the table or the types of its columns cannot be used.
        UnreachableError: the source cannot be read now.
    """
    with _refusing("source"), services.open_source(given.source) as source:
        _, layout = read_source_layout(source, given)
    if given.table is None:
        return
    names = name_columns(layout["header"], layout["column_count"])
    name = TableName.parse(given.table)
    with _refusing("table"):
        services.transact(lambda work: _check_table(work.repository(TypedTables), name, given, names))


def _check_table(tables: TypedTables, name: TableName, given: IngestCsvParameters, names: Sequence[str]) -> None:
    schema = checked_schema(tables, name, given.mode)
    if given.mode == TableMode.APPEND:
        appended_columns(names, tables.columns(schema, name.name))
    else:
        new_columns(names, [ColumnType.TEXT] * len(names), given.column_types)


@contextmanager
def _refusing(field: str) -> Iterator[None]:
    """Names the parameter that an error is about."""
    try:
        yield
    except lockstep.SourceUnavailableError as exc:
        raise lockstep.UnreachableError(str(exc)) from exc
    except ColumnTypesError as exc:
        raise lockstep.InvalidParameterError("column_types", str(exc)) from exc
    except HeaderError as exc:
        raise lockstep.InvalidParameterError("source", str(exc)) from exc
    except lockstep.JobFailure as exc:
        raise lockstep.InvalidParameterError(field, str(exc)) from exc
