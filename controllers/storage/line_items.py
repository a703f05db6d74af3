"""Lines of NDJSON and rows of CSV as items: read block by block, and again from any item on."""

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from controllers.storage.item import Item
from controllers.storage.opener import Places, display_name, open_source
from controllers.storage.source import Source, blocks
from core.errors import SourceError, source_changed

MAX_LINE_BYTES = 1024 * 1024
"""Of one line, and of one row: a task's parameters are far smaller, and a file without line breaks, or one with a quote
that is never closed, must not be held in memory."""

_NO_FIELD_LIMIT = 2**31 - 1
"""Instead of the csv module's own limit, 128 KiB. It is global to the process, and `ingest_csv` sets the same one."""


def ndjson_items(places: Places, source: str, after: Any = None) -> Iterator[Item[Any]]:
    """Yields the JSON value of each line; empty lines are left out.

    Args:
        places: the services of the job.
        source: what `Services.open_source` opens.
        after: the cursor of an item, whose followers are yielded; None begins with the first.

    Raises:
        SourceError: a line is no JSON or too long, the source cannot be used, or it is not the version of the cursor.
        SourceUnavailableError: the source cannot be read now.
    """
    name = display_name(source)
    for line in _lines(places, source, _Position.of(after)):
        text = line.text(name).strip()
        if text:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as exc:  # the message quotes nothing of the line
                raise SourceError(f"line {line.number:,} of {name!r} is no JSON: {exc}") from exc
            yield Item(value, line.after.cursor)


def csv_items(places: Places, source: str, after: Any = None, delimiter: str = ",") -> Iterator[Item[dict[str, str]]]:
    """Yields each row after the header as a mapping from the names of the columns; empty lines are left out.

    The file is UTF-8, with quotes as in RFC 4180, and lines that end with LF or CRLF.

    Args:
        places: the services of the job.
        source: what `Services.open_source` opens.
        after: the cursor of an item, whose followers are yielded; None begins with the first.
        delimiter: one character.

    Raises:
        SourceError: a row has another number of cells than the header or is too long, the header names a column twice,
            the source cannot be used, or it is not the version of the cursor.
        SourceUnavailableError: the source cannot be read now.
    """
    name, position = display_name(source), _Position.of(after)
    rows = _Rows(_lines(places, source, _Position(position.version)), name, delimiter)
    header = next(filter(None, rows), None)
    if header is None:
        return
    if len(set(header)) < len(header):
        raise SourceError(f"the header of {name!r} names a column twice")
    if position.offset:  # the header was read again, from the same version
        rows = _Rows(_lines(places, source, position), name, delimiter)
    for cells in rows:
        if not cells:
            continue
        if len(cells) != len(header):
            raise SourceError(
                f"the row that ends in line {rows.position.lines:,} of {name!r} has {len(cells):,} cells, "
                f"and the header has {len(header):,}"
            )
        yield Item(dict(zip(header, cells, strict=True)), rows.position.cursor)


@dataclass(frozen=True)
class _Position:
    """A place between two lines of one version of a source; None for any version."""

    version: str | None = None
    offset: int = 0
    lines: int = 0

    @classmethod
    def of(cls, cursor: Any) -> "_Position":
        return cls() if cursor is None else cls(*cursor)

    @property
    def cursor(self) -> Sequence[Any]:
        return [self.version, self.offset, self.lines]


@dataclass(frozen=True)
class _Line:
    """One line with its line break; `after` is the place behind it."""

    data: bytes
    after: _Position

    @property
    def number(self) -> int:
        return self.after.lines

    def text(self, name: str) -> str:
        data = self.data.removeprefix(codecs.BOM_UTF8) if self.number == 1 else self.data
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise SourceError(f"line {self.number:,} of {name!r} is not UTF-8") from exc


def _lines(places: Places, source: str, start: _Position) -> Iterator[_Line]:
    """Yields the lines from a place on; one block and one open line are in memory at a time."""
    name = display_name(source)
    with open_source(source, places, start.version) as opened:
        offset, number, rest = start.offset, start.lines, b""
        for block in blocks(opened, offset):
            version = _same_version(opened, start.version, name)
            start = _Position(version)
            first, *others = block.split(b"\n")
            pieces = [rest + first, *others]
            rest = pieces.pop()
            for piece in pieces:
                offset, number = offset + len(piece) + 1, number + 1
                yield _Line(_fitting(piece, number, name) + b"\n", _Position(version, offset, number))
            _fitting(rest, number + 1, name)
        if rest:
            yield _Line(rest, _Position(start.version, offset + len(rest), number + 1))


def _same_version(source: Source, version: str | None, name: str) -> str:
    """The version of a source, which a file does not compare by itself while it is open."""
    found = source.version()
    if version not in {None, found}:
        raise source_changed(name)
    return found


def _fitting(line: bytes, number: int, name: str) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise SourceError(f"line {number:,} of {name!r} is longer than {MAX_LINE_BYTES:,} bytes")
    return line


class _Rows(Iterator[list[str]]):
    """The rows of lines, each read when it is asked for.

    Attributes:
        position: the place after the last row.
    """

    def __init__(self, lines: Iterator[_Line], name: str, delimiter: str) -> None:
        self.position = _Position()
        self._lines = lines
        self._name = name
        self._row_bytes = 0
        csv.field_size_limit(_NO_FIELD_LIMIT)
        self._rows = csv.reader(self._texts(), delimiter=delimiter, strict=True)

    def __next__(self) -> list[str]:
        self._row_bytes = 0
        try:
            return next(self._rows)
        except csv.Error as exc:
            raise SourceError(f"line {self.position.lines:,} of {self._name!r} is no CSV: {exc}") from exc

    def _texts(self) -> Iterator[str]:
        for line in self._lines:
            self.position = line.after  # the reader takes the lines of one row, and no more
            self._row_bytes += len(line.data)
            if self._row_bytes > MAX_LINE_BYTES + 1:  # with the line break that a line of the greatest length has
                where = f"the row that reaches line {line.number:,} of {self._name!r}"
                raise SourceError(f"{where} is longer than {MAX_LINE_BYTES:,} bytes")
            yield line.text(self._name)
