"""Cuts a CSV file into byte ranges that end on record boundaries, with the same records as Python's csv module."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controllers.ingest_csv.record_grammar import (
    MAX_RECORD_BYTES,
    MEASURED_BYTES,
    RecordGrammar,
    count_lines,
    record_too_long,
)


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
        CsvError: a record is longer than `MAX_RECORD_BYTES`.
    """
    grammar = RecordGrammar(delimiter)
    growing = _GrowingRange(offset, first_line)
    tail = b""
    remaining = iter(blocks)
    for block in remaining:
        window = tail + block
        position = 0
        while end := _next_end(grammar, window, position, chunk_bytes - growing.length):
            if end - position > MAX_RECORD_BYTES:
                break
            growing.add(window, position, end)
            position = end
            if growing.length >= chunk_bytes:
                yield growing.close()
        tail = window[position:]
        if len(tail) > MAX_RECORD_BYTES:
            raise record_too_long(grammar, _lengthen(tail, remaining), growing.next_line)
    growing.add(tail, 0, len(tail))
    if growing.length:
        yield growing.close()


def _next_end(grammar: RecordGrammar, window: bytes, position: int, missing: int) -> int | None:
    """Returns the end of the records that fit into the missing bytes, or of one longer record; None without a record.

    More than `MAX_RECORD_BYTES` are one record.
    """
    limit = min(position + min(missing, MAX_RECORD_BYTES), len(window))
    end = grammar.end_of_all(window, position, limit)
    return end if end > position else grammar.end_of_one(window, position)


def _lengthen(record: bytes, blocks: Iterator[bytes]) -> bytes:
    """Reads as much of a record that is too long as its description needs."""
    while len(record) <= MEASURED_BYTES and (block := next(blocks, b"")):
        record += block
    return record


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
