"""Parses one range of a CSV file into rows for the database, and lists the rows that cannot be loaded."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper

from controllers import authoring as lockstep
from controllers.ingest_csv.record_grammar import RecordGrammar, count_lines, describe_open_quote, lift_field_limit

MAX_LISTED_REJECTS = 20
"""Rejected rows that the result of one range lists: people read the result, and the task's row stores it."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that cannot be loaded: the line of the file on which it starts, from 1, and the reason."""

    line: int
    reason: str


@dataclass(frozen=True)
class ParsedRange:
    """The rows of a range.

    Attributes:
        rows: the good rows as (row number in the range, from 0; JSON object by column). A rejected row has a number
            too, a blank line has none.
        rejected_rows: how many rows cannot be loaded.
        rejected: the first `MAX_LISTED_REJECTS` of these rows.
    """

    rows: list[tuple[int, str]]
    rejected_rows: int
    rejected: list[RejectedRow]


def parse_range(data: bytes, columns: Sequence[str], delimiter: str, first_line: int) -> ParsedRange:
    """Parses whole records.

    Blank lines are skipped. A row is rejected when it has another number of columns, is not UTF-8, holds a NUL
    character, which PostgreSQL cannot store, or opens a quote that is never closed.

    Args:
        data: whole records in UTF-8; the last one of the file may lack its line end or the end of a quoted field.
        columns: the names of the columns.
        delimiter: one ASCII character, no quote and no line break.
        first_line: the number of the first line in the file, from 1.
    """
    grammar = RecordGrammar(delimiter)
    last = grammar.end_of_all(data, 0, len(data))
    last_line = first_line + count_lines(data, 0, last)
    open_quote = describe_open_quote(grammar, data, last, last_line)
    if open_quote is not None:
        data = data[:last]
    lift_field_limit()
    # surrogateescape does not change ASCII, and so not the structure, and keeps a bad byte inside its row.
    text = TextIOWrapper(BytesIO(data), encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    rows: list[tuple[int, str]] = []
    rejected: list[RejectedRow] = []
    number = 0
    lines_before = 0
    for fields in reader:
        line, lines_before = first_line + lines_before, reader.line_num
        if not fields:
            continue
        row = _encode(fields, columns)
        if row is not None:
            rows.append((number, row))
        elif len(rejected) < MAX_LISTED_REJECTS:
            rejected.append(RejectedRow(line, _reason(fields, columns)))
        number += 1
    if open_quote is not None:
        number += 1
        if len(rejected) < MAX_LISTED_REJECTS:
            rejected.append(RejectedRow(last_line, open_quote))
    return ParsedRange(rows, number - len(rows), rejected)


def _encode(fields: list[str], columns: Sequence[str]) -> str | None:
    if len(fields) != len(columns):
        return None
    try:
        return lockstep.json_text.encode(dict(zip(columns, fields, strict=True)))
    except lockstep.UnencodableValueError:
        return None


def _reason(fields: list[str], columns: Sequence[str]) -> str:
    if len(fields) != len(columns):
        return f"the number of columns is {len(fields):,}, not {len(columns):,}"
    if any("\x00" in field for field in fields):
        return "the row holds a NUL character"
    return "the row is not UTF-8"
