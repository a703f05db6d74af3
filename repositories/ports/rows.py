"""A transaction's connection, for repositories and for job types that have tables of their own."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

Row = Mapping[str, Any]


class Rows(Protocol):
    """Runs queries in one transaction. Values are parameters, `%(name)s` in the query, and never part of its text."""

    def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Runs a statement; returns the number of rows that it touched."""
        ...

    def later(self, query: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Runs a statement whose result is not needed: it travels with the next statement, or with the commit."""
        ...

    def all(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Runs a query; returns its rows, by column name."""
        ...

    def tuples(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Runs a query; returns its rows as tuples, which cost less than `all` where there are many."""
        ...

    def first(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row | None:
        """Runs a query; returns its first row, or None."""
        ...

    def one(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row:
        """Runs a query that always returns a row; returns this row.

        Raises:
            LookupError: the query returned no row.
        """
        ...

    def copy(self, query: str, lines: Iterable[str] | Iterable[bytes]) -> int:
        """Streams lines into a table with `COPY ... FROM STDIN`; returns how many rows were inserted.

        An exception of the iterable reaches the caller unchanged. `copy_line` writes a line of the text format.
        """
        ...
