"""Pages as the queries return them: each row with the number of rows that were found, at most one more than asked."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from core.pages import Page
from repositories.ports.rows import Row

T = TypeVar("T")


def page_of(rows: Sequence[Row], build: Callable[[Row], T]) -> Page[T]:
    """Builds a page; `build` gets the rows without their column `found`."""
    has_more = bool(rows) and rows[0]["found"] > len(rows)
    return Page((build({name: row[name] for name in row if name != "found"}) for row in rows), has_more=has_more)
