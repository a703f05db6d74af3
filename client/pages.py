"""Pages of lists, and of the lines of results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from client.answers import JobEvent, StageStatus
from client.calls import json_of

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows of a list; `next` leads to the next page, None on the last one."""

    rows: Sequence[T]
    next: Any


@dataclass(frozen=True)
class ResultsPage:
    """Lines of results.

    Attributes:
        text: whole lines, the last one too.
        stage: whose results these are; None if it has not begun.
        stage_status: the results are complete once it is an end.
        next: `after` of the next page; None on the last one.
    """

    text: str
    stage: int | None
    stage_status: StageStatus | None
    next: int | None


def page_of(name: str) -> Callable[[httpx.Response], Page[Any]]:
    """Makes the reader of a page whose rows are called `name`."""

    def read(response: httpx.Response) -> Page[Any]:
        body = json_of(response)
        return Page(body[name], body["next"])

    return read


def rows_of(name: str) -> Callable[[httpx.Response], Any]:
    """Makes the reader of a list that has no pages, whose rows are called `name`."""

    def read(response: httpx.Response) -> Any:
        return json_of(response)[name]

    return read


def since_of(response: httpx.Response) -> tuple[Page[JobEvent], int]:
    """Reads a page of events and the `since` of the next request."""
    body = json_of(response)
    return Page(body["events"], body["next"]), body["since"]


def results_of(response: httpx.Response) -> ResultsPage:
    """Reads a page of results."""
    stage, following = response.headers.get("Stage"), response.headers.get("Next-After")
    return ResultsPage(
        response.text,
        None if stage is None else int(stage),
        response.headers.get("Stage-Status"),
        None if following is None else int(following),
    )
