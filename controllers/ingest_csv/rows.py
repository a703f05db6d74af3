"""Parses one range of a CSV file into rows for the database, and lists the rows that cannot be loaded."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO, TextIOWrapper
from itertools import islice

from controllers import authoring as lockstep
from controllers.ingest_csv.record_grammar import RecordGrammar, count_lines, describe_open_quote, lift_field_limit

MAX_LISTED_REJECTS = 20
"""Rejected rows that the result of one range lists: people read the result, and the task's row stores it."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that cannot be loaded: the line of the file on which it starts, from 1, and the reason."""

    line: int
    reason: str


@dataclass
class RejectedRows:
    """Collects the rows of a range that cannot be loaded.

    Attributes:
        count: of all of them.
        first: the first `MAX_LISTED_REJECTS`.
    """

    count: int = 0
    first: list[RejectedRow] = field(default_factory=list)

    def add(self, row: RejectedRow) -> None:
        """Counts a row, and lists it if it is among the first."""
        self.count += 1
        if len(self.first) < MAX_LISTED_REJECTS:
            self.first.append(row)

    def result(self, rows_loaded: int) -> dict[str, lockstep.JsonValue]:
        """Makes the result of the task that has loaded the other rows of the range."""
        return {
            "rows_loaded": rows_loaded,
            "rows_rejected": self.count,
            "rejected": [asdict(row) for row in self.first],
        }


def parse_range(
    data: bytes, columns: Sequence[str], delimiter: str, first_line: int, rejected: RejectedRows
) -> Iterator[tuple[int, str]]:
    """Yields the good rows of whole records as (row number in the range, from 0; JSON object by column).

    One row is in memory at a time: the rows of a range may take a hundred times its bytes. A rejected row has a number
    too, a blank line has none. A row is rejected when it has another number of columns, is not UTF-8, holds a NUL
    character, which PostgreSQL cannot store, or opens a quote that is never closed.

    Args:
        data: whole records in UTF-8; the last one of the file may lack its line end or the end of a quoted field.
        columns: the names of the columns.
        delimiter: one ASCII character, no quote and no line break.
        first_line: the number of the first line in the file, from 1.
        rejected: collects the other rows while these are yielded.
    """
    for number, (line, fields) in enumerate(read_records(data, delimiter, first_line, rejected)):
        row = _encode(fields, columns)
        if row is not None:
            yield number, row
        else:
            rejected.add(RejectedRow(line, reason_of_row(fields, len(columns))))


def read_records(
    data: bytes, delimiter: str, first_line: int, rejected: RejectedRows
) -> Iterator[tuple[int, list[str]]]:
    """Yields the records that are not blank, each with the number of its first line.

    Collects a last record that opens a quote that is never closed. A byte that is not UTF-8 is a lone surrogate.
    """
    grammar = RecordGrammar(delimiter)
    last = grammar.end_of_all(data, 0, len(data))
    lines_before_last = count_lines(data, 0, last)
    open_quote = describe_open_quote(grammar, data, last, first_line + lines_before_last)
    # surrogateescape does not change ASCII, and so not the structure, and keeps a bad byte inside its row.
    lines: Iterable[str] = TextIOWrapper(BytesIO(data), encoding="utf-8", errors="surrogateescape", newline="")
    if open_quote is not None:
        lines = islice(lines, lines_before_last)
    yield from _records(lines, delimiter, first_line)
    if open_quote is not None:
        rejected.add(RejectedRow(first_line + lines_before_last, open_quote))


def _records(lines: Iterable[str], delimiter: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    lift_field_limit()
    reader = csv.reader(lines, delimiter=delimiter)
    lines_before = 0
    for fields in reader:
        line, lines_before = first_line + lines_before, reader.line_num
        if fields:
            yield line, fields


def _encode(fields: list[str], columns: Sequence[str]) -> str | None:
    if len(fields) != len(columns):
        return None
    try:
        return lockstep.json_text.encode(dict(zip(columns, fields, strict=True)))
    except lockstep.UnencodableValueError:
        return None


def reason_of_row(fields: list[str], column_count: int) -> str:
    """Says why a row cannot be loaded into any table."""
    if len(fields) != column_count:
        return f"the number of columns is {len(fields):,}, not {column_count:,}"
    if any("\x00" in field for field in fields):
        return "the row holds a NUL character"
    return "the row is not UTF-8"
