"""Reads the beginning of a CSV file: its columns, and where its rows start."""

import csv
from dataclasses import dataclass
from io import StringIO

from controllers.ingest_csv.errors import CsvError
from controllers.ingest_csv.record_ranges import RecordGrammar, count_lines, describe_open_quote

MAX_HEADER_BYTES = 16 * 1024
"""The parameters of every task repeat the columns, so the header must be short."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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

    A column without a name, and every column of a file without a header, is called `column_<n>`, n from 1.

    Args:
        head: the first `MAX_HEADER_BYTES` + 1 bytes of the file, or all of a shorter one.
        delimiter: one ASCII character, no quote and no line break.
        has_header: whether the first record names the columns; if not, it is the first row.

    Raises:
        CsvError: the file is empty, is not text in UTF-8, or its first record is too long, opens a quote that is never
            closed, or names a column twice.
    """
    mark = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
    start = len(head) - len(head[mark:].lstrip(b"\r\n"))
    if start == len(head):
        raise CsvError("the source is empty, or its beginning contains only blank lines")
    grammar = RecordGrammar(delimiter)
    end = grammar.end_of_one(head, start)
    record = head[start:end]
    if b"\x00" in record:
        raise CsvError("the source is not a CSV file in UTF-8: its first record contains NUL bytes")
    if end is None and len(head) > MAX_HEADER_BYTES:
        raise CsvError(
            f"the first record is longer than {MAX_HEADER_BYTES:,} bytes; "
            "either the source is not a CSV file, or a quote is never closed"
        )
    open_quote = describe_open_quote(grammar, head, start, 1 + count_lines(head, 0, start)) if end is None else None
    if open_quote is not None:
        raise CsvError(open_quote)
    columns = _columns(record, delimiter, has_header=has_header)
    rows_start = start + len(record) if has_header else start
    return CsvLayout(columns, rows_start, 1 + count_lines(head, 0, rows_start))


def _columns(record: bytes, delimiter: str, *, has_header: bool) -> tuple[str, ...]:
    try:
        text = record.decode()
    except UnicodeDecodeError as exc:
        raise CsvError(
            f"the source is not a CSV file in UTF-8: its first record contains byte 0x{exc.object[exc.start]:02x}"
        ) from exc
    fields = next(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    columns: dict[str, None] = {}
    for number, field in enumerate(fields, start=1):
        name = (field if has_header else "") or f"column_{number}"
        if name in columns:
            raise CsvError(f"the header names the column {name[:100]!r} twice")
        columns[name] = None
    return tuple(columns)
