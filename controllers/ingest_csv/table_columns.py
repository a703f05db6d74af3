"""Decides the columns of the table from those of the file."""

from collections.abc import Mapping, Sequence

from controllers.ingest_csv.column_types import ColumnType
from controllers.ingest_csv.errors import ColumnTypesError, HeaderError, TableError
from controllers.ingest_csv.table_name import check_name
from controllers.ingest_csv.typed_rows import TypedColumn

MAX_TABLE_COLUMNS = 1_599
"""PostgreSQL's limit is 1,600, and a staging table has one more than the file."""

_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

_TYPES = {each.value: each for each in ColumnType} | {
    "character varying": ColumnType.TEXT,
    "timestamp without time zone": ColumnType.TIMESTAMP,
    "timestamp with time zone": ColumnType.TIMESTAMPTZ,
}
"""By what PostgreSQL calls them."""


def new_columns(names: Sequence[str], sampled: Sequence[str], given: Mapping[str, str]) -> list[TypedColumn]:
    """Returns the columns of a new table, with the given types or else those of the sample.

    Raises:
        HeaderError: PostgreSQL would refuse a name or their number.
        ColumnTypesError: a type is given for no column of the file.
    """
    unknown = sorted(given.keys() - set(names))
    if unknown:
        raise ColumnTypesError(f"column_types names the column {unknown[0][:100]!r}, which the file does not have")
    if len(names) > MAX_TABLE_COLUMNS:
        raise HeaderError(f"the file has {len(names):,} columns, and a table has at most {MAX_TABLE_COLUMNS:,}")
    for name in names:
        if name in _SYSTEM_COLUMNS:
            raise HeaderError(f"PostgreSQL keeps the column name {name!r} for itself; rename it in the header")
        try:
            check_name(name, "a column")
        except ValueError as exc:
            raise HeaderError(f"{exc}; rename it in the header") from exc
    return [TypedColumn(name, ColumnType(given.get(name, kind))) for name, kind in zip(names, sampled, strict=True)]


def appended_columns(names: Sequence[str], existing: Mapping[str, str]) -> list[TypedColumn]:
    """Returns the columns of the file with the types that they have in an existing table.

    Raises:
        TableError: the table lacks a column, or has a type that cannot be checked here.
    """
    columns = []
    for name in names:
        found = existing.get(name)
        if found is None:
            raise TableError(f"the table has no column {name[:100]!r} that can be given a value")
        kind = _TYPES.get(found)
        if kind is None:
            raise TableError(
                f"the column {name!r} of the table is of type {found}; rows can be appended to columns of the types "
                + ", ".join(ColumnType)
            )
        columns.append(TypedColumn(name, kind))
    return columns
