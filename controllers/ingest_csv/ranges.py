"""Cuts a CSV file into byte ranges that end on record boundaries, as Python's csv module sees records.

That is RFC 4180 with the csv module's leniency: a quote opens a quoted field only where a field begins;
anywhere else in an unquoted field it is text, and so is what follows a closing quote.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controllers.ingest_csv.errors import CsvError

MAX_RECORD_BYTES = 1024 * 1024
"""A longer record is taken for a quote that is never closed. It bounds what is held of an open record."""


@dataclass(frozen=True)
class CsvRange:
    """A run of whole records.

    Attributes:
        offset: its first byte in the file, from 0.
        length: in bytes.
        crc32: of its bytes; tells whether the file is still the one that was cut.
        first_line: the number of its first line in the file, from 1, as an editor counts: quoted line
            breaks count too.
    """

    offset: int
    length: int
    crc32: int
    first_line: int


class RecordGrammar:
    """Finds where records end, for one delimiter.

    Positions that it is given must be where a record begins. A carriage return at the very end of the
    data ends no record yet: a line feed may follow.

    Args:
        delimiter: one ASCII character, no quote and no line break.
    """

    def __init__(self, delimiter: str) -> None:
        # Possessive repeats never backtrack, so matching is linear and its memory constant.
        inside = rb"[^%b\r\n]" % re.escape(delimiter.encode("ascii"))
        quoted = rb'(?<!%b)"[^"]*+(?:""[^"]*+)*+"' % inside
        literal_quote = rb'(?<=%b)"' % inside
        line_end = rb"(?:\n|\r\n|\r(?=[^\n]))"
        record = rb'[^"\r\n]*+(?:(?:%b|%b)[^"\r\n]*+)*+%b' % (quoted, literal_quote, line_end)
        self._one = re.compile(record)
        self._many = re.compile(rb"(?:%b)*+" % record)

    def end_of_one(self, data: bytes, start: int) -> int | None:
        """Where the record at `start` ends; None when it is not complete."""
        match = self._one.match(data, start)
        return match.end() if match else None

    def end_of_all(self, data: bytes, start: int, limit: int) -> int:
        """Where the last complete record between `start` and `limit` ends; `start` when there is none."""
        if data.find(b'"', start, limit) < 0:  # then any line break ends a record, and no pattern is needed
            return max(start, data.rfind(b"\n", start, limit) + 1, data.rfind(b"\r", start, limit - 1) + 1)
        match = self._many.match(data, start, limit)
        assert match is not None, "a repeat of nothing matches too"
        return match.end()


def count_lines(data: bytes, start: int, end: int) -> int:
    """The line breaks between two positions, CRLF counted once."""
    returns = data.count(b"\r", start, end)
    pairs = data.count(b"\r\n", start, end) if returns else 0
    return data.count(b"\n", start, end) + returns - pairs


def split(
    blocks: Iterable[bytes], delimiter: str, chunk_bytes: int, *, offset: int = 0, first_line: int = 1
) -> Iterator[CsvRange]:
    """Cuts a file at the first record boundary at or after every `chunk_bytes`, lazily.

    The cut depends on the bytes alone, not on how they come in blocks. It holds one block and one open
    record at a time.

    Args:
        blocks: the file from `offset` on, in blocks of any size above 0.
        delimiter: one ASCII character, no quote and no line break.
        chunk_bytes: the least size of a range, except the last.
        offset: where the blocks begin; a record begins there.
        first_line: the number of the line there.

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
                "most often that is a quote that is never closed"
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
        """Hands the range out and begins the next one behind it."""
        closed = CsvRange(self._offset, self.length, self._crc32, self._first_line)
        self._offset += self.length
        self._first_line = self.next_line
        self._crc32 = 0
        self.length = 0
        return closed
