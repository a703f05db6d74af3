"""Cuts a CSV file into byte ranges that end on record boundaries, with the same records as Python's csv module.

This is RFC 4180 with the csv module's leniency: a quote opens a quoted field only at the beginning of a field; anywhere
else in an unquoted field it is text, and so are characters after a closing quote.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controllers.ingest_csv.errors import CsvError

MAX_RECORD_BYTES = 1024 * 1024
"""A longer record is taken for a quote that is never closed. The limit bounds the memory of an open record."""


@dataclass(frozen=True)
class CsvRange:
    """Whole records, one after the other.

    Attributes:
        offset: the position of its first byte in the file, from 0.
        length: in bytes.
        crc32: the checksum of its bytes; tells whether the file has changed since it was cut.
        first_line: the number of its first line in the file, from 1, as an editor counts: quoted line breaks count too.
    """

    offset: int
    length: int
    crc32: int
    first_line: int


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


def split(
    blocks: Iterable[bytes], delimiter: str, chunk_bytes: int, *, offset: int = 0, first_line: int = 1
) -> Iterator[CsvRange]:
    """Cuts a file at the first record boundary at or after every `chunk_bytes`, lazily.

    The cuts depend only on the bytes, not on the sizes of the blocks. One block and one open record are in memory at a
    time.

    Args:
        blocks: the file from `offset` on, in blocks of any size above 0.
        delimiter: one ASCII character, no quote and no line break.
        chunk_bytes: the minimum size of a range, except the last one.
        offset: the position at which the blocks begin, which is the beginning of a record.
        first_line: the number of the line at `offset`.

    Raises:
        CsvError: a record is still open after `MAX_RECORD_BYTES`.
    """
    grammar = RecordGrammar(delimiter)
    growing = _GrowingRange(offset, first_line)
    tail = b""
    for block in blocks:
        window = tail + block
        position = 0
        while True:
            missing = chunk_bytes - growing.length
            end = grammar.end_of_all(window, position, min(position + missing, len(window)))
            if end < position + missing <= len(window):
                end = grammar.end_of_one(window, end) or end
            growing.add(window, position, end)
            position = end
            if growing.length < chunk_bytes:
                break
            yield growing.close()
        tail = window[position:]
        if len(tail) > MAX_RECORD_BYTES:
            raise CsvError(
                f"the record on line {growing.next_line:,} is longer than {MAX_RECORD_BYTES:,} bytes; "
                "the most common cause is a quote that is never closed"
            )
    growing.add(tail, 0, len(tail))
    if growing.length:
        yield growing.close()


class _GrowingRange:
    """The range that is being collected."""

    def __init__(self, offset: int, first_line: int) -> None:
        self._offset = offset
        self._first_line = first_line
        self._crc32 = 0
        self.next_line = first_line
        self.length = 0

    def add(self, data: bytes, start: int, end: int) -> None:
        """Appends whole records."""
        self._crc32 = zlib.crc32(memoryview(data)[start:end], self._crc32)
        self.next_line += count_lines(data, start, end)
        self.length += end - start

    def close(self) -> CsvRange:
        """Returns the range, and begins the next one after it."""
        closed = CsvRange(self._offset, self.length, self._crc32, self._first_line)
        self._offset += self.length
        self._first_line = self.next_line
        self._crc32 = 0
        self.length = 0
        return closed
