import json
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from core.pages import Page

T = TypeVar("T")


def cut(rows: Sequence[T], limit: int, max_bytes: int, size: Callable[[T], int]) -> Page[T]:
    """The first rows, as far as the limits allow; at least one."""
    fitting = sum(1 for total in accumulate(map(size, rows[:limit])) if total <= max_bytes)
    page = rows[: max(1, fitting)]
    return Page(page, has_more=len(rows) > len(page))


def json_bytes(*texts: str | None) -> int:
    """The size of jsonb columns as text, which PostgreSQL writes with spaces."""
    return sum(len(json.dumps(json.loads(text), ensure_ascii=False).encode()) for text in texts if text is not None)
