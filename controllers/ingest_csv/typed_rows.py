"""Parses one range of a CSV file into rows of typed columns, and lists the rows that do not fit their types."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controllers.ingest_csv.column_types import ColumnType, fits
from controllers.ingest_csv.rows import RejectedRow, RejectedRows, read_records, reason_of_row


@dataclass(frozen=True)
class TypedColumn:
    """A column of the table."""

    name: str
    type: ColumnType


@dataclass(frozen=True)
class RejectedCell(RejectedRow):
    """A row that cannot be loaded because of the cell in one column."""

    column: str


def parse_typed_range(
    data: bytes, columns: Sequence[TypedColumn], delimiter: str, first_line: int, rejected: RejectedRows
) -> Iterator[list[str | None]]:
    """Yields the good rows of whole records, each cell as PostgreSQL's text; an empty cell is NULL.

    A row is rejected as by `parse_range`, and when a cell does not fit the type of its column.
    """
    for line, fields in read_records(data, delimiter, first_line, rejected):
        if len(fields) != len(columns) or not _is_storable(fields):
            rejected.add(RejectedRow(line, reason_of_row(fields, len(columns))))
            continue
        misfit = _misfit(fields, columns)
        if misfit is None:
            yield [field or None for field in fields]
        else:
            reason = f"the value in the column {misfit.name[:100]!r} is no {misfit.type}"
            rejected.add(RejectedCell(line, reason, misfit.name))


def _is_storable(fields: list[str]) -> bool:
    text = "".join(fields)
    if text.isascii():
        return "\x00" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def _misfit(fields: list[str], columns: Sequence[TypedColumn]) -> TypedColumn | None:
    for field, column in zip(fields, columns, strict=True):
        if field and not fits(column.type, field):
            return column
    return None
