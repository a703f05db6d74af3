"""Reads the beginning of a CSV file: its columns, and where its rows start."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from controllers import authoring as lockstep
from controllers.ingest_csv.errors import CsvError
from controllers.ingest_csv.other_delimiters import SAMPLE_BYTES, OtherDelimiter, find_other_delimiter
from controllers.ingest_csv.other_formats import refuse_other_formats, refuse_spreadsheet_hint
from controllers.ingest_csv.record_grammar import (
    MAX_RECORD_BYTES,
    MEASURED_BYTES,
    RecordGrammar,
    count_lines,
    describe_open_quote,
    lift_field_limit,
    record_too_long,
)

MAX_HEADER_BYTES = 16 * 1024
"""The parameters of every task repeat the header as JSON, so it must be short. Without a header, they repeat none."""

MAX_COLUMNS = 10_000
"""Rows name each column, also those that the header does not name: this bounds what a column without a name costs."""

_MAX_BLANK_BYTES = 16 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

HEAD_BYTES = len(_BYTE_ORDER_MARK) + _MAX_BLANK_BYTES + MEASURED_BYTES + 1
"""The beginning of a file that holds its first record, and enough of a record that is too long."""


@dataclass(frozen=True)
class CsvLayout:
    """The beginning of a file.

    Attributes:
        header: the names of the columns as the file gives them, unique or empty; None for a file without a header.
        column_count: of the first record.
        offset: the byte at which the rows start.
        first_line: the number of the line at which the rows start, from 1.
        other_delimiter: a delimiter that fits the file better than the given one, if there is one.
    """

    header: tuple[str, ...] | None
    column_count: int
    offset: int
    first_line: int
    other_delimiter: OtherDelimiter | None = None


def read_layout(head: bytes, delimiter: str, *, has_header: bool) -> CsvLayout:
    """Reads the columns from the first record.

    Args:
        head: the first `HEAD_BYTES` bytes of the file, or all of a shorter one.
        delimiter: one ASCII character, no quote and no line break.
        has_header: whether the first record names the columns; if not, it is the first row.

    Raises:
        CsvError: the file is empty, has another format, or its first record is not UTF-8, is too long, opens a quote
            that is never closed, names a column twice, or has too many columns or too long names.
    """
    refuse_other_formats(head)
    mark = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
    start = len(head) - len(head[mark:].lstrip(b"\r\n"))
    if start == len(head) or start - mark > _MAX_BLANK_BYTES:
        raise CsvError("the source is empty, or its beginning contains only blank lines")
    line = 1 + count_lines(head, 0, start)
    record = _first_record(head, start, line, RecordGrammar(delimiter))
    refuse_spreadsheet_hint(record)
    fields = _fields(record, delimiter)
    if len(fields) > MAX_COLUMNS:
        raise CsvError(f"the first record has {len(fields):,} columns, and the limit is {MAX_COLUMNS:,}")
    other = find_other_delimiter(head[start : start + SAMPLE_BYTES], record, delimiter, len(fields))
    if not has_header:
        return CsvLayout(None, len(fields), start, line, other)
    first_row = start + len(record)
    return CsvLayout(_checked(fields), len(fields), first_row, line + count_lines(record, 0, len(record)), other)


def name_columns(header: Sequence[str] | None, column_count: int) -> list[str]:
    """Names the columns, each by another name.

    A column without a name, and every column of a file without a header, is called `column_<n>`, n from 1; underscores
    follow if the header names that column too.
    """
    fields = [""] * column_count if header is None else header
    given = set(fields)
    columns = []
    for number, field in enumerate(fields, start=1):
        name = field or f"column_{number}"
        while not field and name in given:
            name += "_"
        columns.append(name)
    return columns


def _first_record(head: bytes, start: int, line: int, grammar: RecordGrammar) -> bytes:
    end = grammar.end_of_one(head, start)
    record = head[start:end]
    if b"\x00" in record:
        raise CsvError("the source is not a CSV file in UTF-8: its first record contains NUL bytes")
    if len(record) > MAX_RECORD_BYTES:
        raise record_too_long(grammar, head[start:], line)
    open_quote = describe_open_quote(grammar, record, 0, line) if end is None else None
    if open_quote is not None:
        raise CsvError(open_quote)
    return record


def _fields(record: bytes, delimiter: str) -> list[str]:
    try:
        text = record.decode()
    except UnicodeDecodeError as exc:
        raise CsvError(
            f"the source is not a CSV file in UTF-8: its first record contains byte 0x{exc.object[exc.start]:02x}"
        ) from exc
    lift_field_limit()
    return next(csv.reader(StringIO(text, newline=""), delimiter=delimiter))


def _checked(header: list[str]) -> tuple[str, ...]:
    given = set[str]()
    for field in header:
        if field and field in given:
            raise CsvError(f"the header names the column {field[:100]!r} twice")
        given.add(field)
    size = len(lockstep.json_text.encode(header).encode())
    if size > MAX_HEADER_BYTES:
        raise CsvError(
            f"the header of {len(header):,} columns takes {size:,} bytes as JSON, and the limit is {MAX_HEADER_BYTES:,}"
        )
    return tuple(header)
