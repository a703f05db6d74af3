"""Finds where the records of a CSV file end, as Python's csv module does, and how long a record may be.

This is RFC 4180 with the csv module's leniency: a quote opens a quoted field only at the beginning of a field; anywhere
else in an unquoted field it is text, and so are characters after a closing quote.
"""

import csv
import re

from controllers.ingest_csv.errors import CsvError

MAX_RECORD_BYTES = 1024 * 1024
"""The limit of every record, its line end included: a header, a first or last row, at any place in the file. It bounds
the memory of a record that is open, most often because of a quote that is never closed."""

MEASURED_BYTES = 4 * MAX_RECORD_BYTES
"""How far the end of a record that is too long is searched, so that the error can name its size."""


class RecordGrammar:
    """Finds where records end, for one delimiter.

    A start position must be the beginning of a record. A carriage return at the very end of the data does not end a
    record yet, because a line feed may follow.

    Args:
        delimiter: one ASCII character, no quote and no line break.
    """

    def __init__(self, delimiter: str) -> None:
        # Possessive repeats never backtrack, so matching is linear and its memory constant.
        separator = re.escape(delimiter.encode("ascii"))
        inside = rb"[^%b\r\n]" % separator
        closed = rb'"[^"]*+(?:""[^"]*+)*+"'
        # A quote at the start is read without looking behind it; every later one has its record before it. So the bytes
        # before a record have no influence.
        first = rb'(?:%b|(?!"))[^"\r\n]*+' % closed
        later = rb'(?:(?<!%b)%b|(?<=%b)")[^"\r\n]*+' % (inside, closed, inside)
        line_end = rb"(?:\n|\r\n|\r(?=[^\n]))"
        record = rb"%b(?:%b)*+%b" % (first, later, line_end)
        self._one = re.compile(record)
        self._many = re.compile(rb"(?:%b)*+" % record)
        self._quoted = re.compile(closed)
        self._whole_fields = re.compile(rb'(?:(?:%b|(?!"))%b*+%b)*+' % (closed, inside, separator))

    def end_of_one(self, data: bytes, start: int) -> int | None:
        """Returns the end of the record at `start`; None when the record is not complete."""
        match = self._one.match(data, start)
        return match.end() if match else None

    def end_of_all(self, data: bytes, start: int, limit: int) -> int:
        """Returns the end of the last complete record between `start` and `limit`; `start` when there is none."""
        if data.find(b'"', start, limit) < 0:  # then any line break ends a record, and no pattern is needed
            return max(start, data.rfind(b"\n", start, limit) + 1, data.rfind(b"\r", start, limit - 1) + 1)
        match = self._many.match(data, start, limit)
        assert match is not None, "a repeat of nothing matches too"
        return match.end()

    def open_quote(self, data: bytes, start: int) -> int | None:
        """Returns the position of the quote that the record at `start` opens and `data` does not close."""
        fields = self._whole_fields.match(data, start)
        assert fields is not None, "a repeat of nothing matches too"
        is_open = data.startswith(b'"', fields.end()) and not self._quoted.match(data, fields.end())
        return fields.end() if is_open else None


def count_lines(data: bytes, start: int, end: int) -> int:
    """Counts the line breaks between two positions; CRLF counts once."""
    returns = data.count(b"\r", start, end)
    pairs = data.count(b"\r\n", start, end) if returns else 0
    return data.count(b"\n", start, end) + returns - pairs


def describe_open_quote(grammar: RecordGrammar, data: bytes, start: int, line: int) -> str | None:
    """Says where the last record of a file opens a quote that is never closed; None when it opens none.

    Args:
        grammar: finds the quote.
        data: up to the end of the file.
        start: the beginning of the record.
        line: the number of the line at `start`.
    """
    quote = grammar.open_quote(data, start)
    if quote is None:
        return None
    return f"the quote opened on line {line + count_lines(data, start, quote):,} is never closed"


def record_too_long(grammar: RecordGrammar, data: bytes, line: int) -> CsvError:
    """Describes a record of more than `MAX_RECORD_BYTES`.

    Args:
        grammar: finds its end.
        data: from the record's beginning; more than `MEASURED_BYTES` where the file has them.
        line: the number of its first line.
    """
    data = data[: MEASURED_BYTES + 1]
    end = grammar.end_of_one(data, 0)
    size = len(data) if end is None else end
    length = f"{size:,} bytes long" if size <= MEASURED_BYTES else f"longer than {MEASURED_BYTES:,} bytes"
    message = f"the record on line {line:,} is {length}, and a record has at most {MAX_RECORD_BYTES:,}"
    quote = grammar.open_quote(data, 0) if end is None else None
    if quote is not None:
        fate = "never closed" if size <= MEASURED_BYTES else "still open there"
        message += f"; the quote opened on line {line + count_lines(data, 0, quote):,} is {fate}"
    return CsvError(message)


def lift_field_limit() -> None:
    """Switches off the csv module's own limit, 128 KiB per field: the size of records is limited here.

    The limit is global to the process; threads cannot race, because they all set the same value.
    """
    csv.field_size_limit(2**31 - 1)
