"""Runs queries on a cursor: returns plain rows, raises the errors of `core.errors`."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from psycopg2.extensions import cursor

from repositories.sql_errors import translated

Row = Mapping[str, Any]


class Rows:
    """The cursor of a transaction, as the repositories use it."""

    def __init__(self, cur: cursor) -> None:
        self._cursor = cur

    def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Runs a statement; returns how many rows it changed."""
        with translated():
            self._cursor.execute(query, parameters)
            return self._cursor.rowcount

    def all(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Runs a query; returns its rows."""
        with translated():
            self._cursor.execute(query, parameters)
            names = [column.name for column in self._cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]

    def first(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row | None:
        """Runs a query; returns its first row, or None."""
        rows = self.all(query, parameters)
        return rows[0] if rows else None

    def one(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row:
        """Runs a query that always returns a row."""
        row = self.first(query, parameters)
        if row is None:
            raise LookupError(f"no row was returned by {query!r}")
        return row

    def copy(self, query: str, text: StringIO) -> None:
        """Streams text in PostgreSQL's COPY format into a table."""
        with translated():
            self._cursor.copy_expert(query, text)
