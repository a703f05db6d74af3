"""Pages of rows, bounded in rows and in bytes."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

MAX_PAGE_BYTES = 1024 * 1024
"""The payload of one page. As Python objects and as the text of an answer, it takes some times as much."""


class TaskPayload(StrEnum):
    """The columns of tasks that a page has only if it is asked for them: they may be large."""

    PARAMETERS = "parameters"
    RESULT = "result"


class Page(list[T]):
    """Rows in order: at least one if there are any, and as many as the limits allow.

    Attributes:
        has_more: whether rows follow.
    """

    def __init__(self, rows: Iterable[T], *, has_more: bool) -> None:
        super().__init__(rows)
        self.has_more = has_more
