"""Reads the beginning of a CSV file: its columns, and where its rows start."""

import csv
from dataclasses import dataclass
from io import StringIO

from controllers import authoring as lockstep
from controllers.ingest_csv.errors import CsvError
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

MAX_COLUMNS_BYTES = 16 * 1024
"""The parameters of every task repeat the names of the columns as JSON, so they must be short."""

_MAX_BLANK_BYTES = 16 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

HEAD_BYTES = len(_BYTE_ORDER_MARK) + _MAX_BLANK_BYTES + MEASURED_BYTES + 1
"""The beginning of a file that holds its first record, and enough of a record that is too long."""


@dataclass(frozen=True)
class CsvLayout:
    """The beginning of a file.

    Attributes:
        columns: the names of the columns, unique, in the order of the file.
        offset: the byte at which the rows start.
        first_line: the number of the line at which the rows start, from 1.
    """

    columns: tuple[str, ...]
    offset: int
    first_line: int


def read_layout(head: bytes, delimiter: str, *, has_header: bool) -> CsvLayout:
    """Reads the columns from the first record.

    A column without a name, and every column of a file without a header, is called `column_<n>`, n from 1; underscores
    follow if the header names that column too.

    Args:
        head: the first `HEAD_BYTES` bytes of the file, or all of a shorter one.
        delimiter: one ASCII character, no quote and no line break.
        has_header: whether the first record names the columns; if not, it is the first row.

    Raises:
        CsvError: the file is empty, has another format, or its first record is not UTF-8, is too long, opens a quote
            that is never closed, names a column twice, or has too many or too long names.
    """
    refuse_other_formats(head)
    mark = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
    start = len(head) - len(head[mark:].lstrip(b"\r\n"))
    if start == len(head) or start - mark > _MAX_BLANK_BYTES:
        raise CsvError("the source is empty, or its beginning contains only blank lines")
    line = 1 + count_lines(head, 0, start)
    record = _first_record(head, start, line, RecordGrammar(delimiter))
    refuse_spreadsheet_hint(record)
    columns = _columns(record, delimiter, has_header=has_header)
    if not has_header:
        return CsvLayout(columns, start, line)
    return CsvLayout(columns, start + len(record), line + count_lines(record, 0, len(record)))


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


def _columns(record: bytes, delimiter: str, *, has_header: bool) -> tuple[str, ...]:
    try:
        text = record.decode()
    except UnicodeDecodeError as exc:
        raise CsvError(
            f"the source is not a CSV file in UTF-8: its first record contains byte 0x{exc.object[exc.start]:02x}"
        ) from exc
    lift_field_limit()
    fields = next(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    columns = _named(fields if has_header else [""] * len(fields))
    size = len(lockstep.json_text.encode(list(columns)).encode())
    if size > MAX_COLUMNS_BYTES:
        raise CsvError(
            f"the names of the {len(columns):,} columns take {size:,} bytes as JSON, "
            f"and the limit is {MAX_COLUMNS_BYTES:,}"
        )
    return columns


def _named(fields: list[str]) -> tuple[str, ...]:
    given = set[str]()
    for field in fields:
        if field and field in given:
            raise CsvError(f"the header names the column {field[:100]!r} twice")
        given.add(field)
    columns = []
    for number, field in enumerate(fields, start=1):
        name = field or f"column_{number}"
        while not field and name in given:
            name += "_"
        columns.append(name)
    return tuple(columns)
