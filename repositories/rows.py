"""Runs queries on a cursor; returns plain rows, and raises the errors of `core.errors`."""

from collections.abc import Iterable, Iterator, Mapping
from io import RawIOBase
from typing import Any

from psycopg2.extensions import cursor, encodings
from typing_extensions import override

from core.errors import DatabaseError, RefusedValueError
from repositories.guarded_connection import GuardedCursor
from repositories.ports.rows import Row, Rows
from repositories.sql_errors import translated


class PostgresRows(Rows):
    """The cursor of a transaction, as the repositories use it."""

    def __init__(self, cur: cursor) -> None:
        self._cursor = cur

    @override
    def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> int:
        with translated():
            self._cursor.execute(query, parameters)
            return self._cursor.rowcount

    @override
    def later(self, query: str, parameters: Mapping[str, Any] | None = None) -> None:
        if isinstance(self._cursor, GuardedCursor):
            self._cursor.hold(query, parameters)
        else:
            self.execute(query, parameters)

    @override
    def all(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        with translated():
            self._cursor.execute(query, parameters)
            names = [column.name for column in self._cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in self._fetched()]

    @override
    def tuples(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with translated():
            self._cursor.execute(query, parameters)
            return self._fetched()

    def _fetched(self) -> list[tuple[Any, ...]]:
        try:
            return self._cursor.fetchall()
        except (ValueError, OverflowError) as exc:  # for example a time after the year 9999
            raise RefusedValueError(f"a value of a row cannot be read: {exc}") from exc

    @override
    def first(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row | None:
        rows = self.all(query, parameters)
        return rows[0] if rows else None

    @override
    def one(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row:
        row = self.first(query, parameters)
        if row is None:
            raise LookupError(f"no row was returned by {query!r}")
        return row

    @override
    def copy(self, query: str, lines: Iterable[str] | Iterable[bytes]) -> int:
        stream = _Stream(lines, encodings[self._cursor.connection.encoding])
        try:
            with translated():
                self._cursor.copy_expert(query, stream)
        except DatabaseError:
            # psycopg2 cancels the COPY when the stream raises, and reports only the cancellation.
            if stream.error is not None:
                raise stream.error from None
            raise
        return self._cursor.rowcount


class _Stream(RawIOBase):
    """A file of lines that psycopg2 reads a COPY from; holds no more than one buffer of lines in memory."""

    def __init__(self, lines: Iterable[str] | Iterable[bytes], encoding: str) -> None:
        self._lines: Iterator[str | bytes] = iter(lines)
        self._encoding = encoding
        self.error: BaseException | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Returns whole lines, at least `size` bytes in all; the rest when it is shorter, or when no size is given."""
        parts: list[bytes] = []
        length = 0
        try:
            for line in self._lines:
                parts.append(line.encode(self._encoding) if isinstance(line, str) else line)
                length += len(parts[-1])
                if 0 <= size <= length:
                    break
        except BaseException as exc:
            self.error = exc
            raise
        return b"".join(parts)
