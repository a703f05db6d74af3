"""Reads the results of an ended stage's tasks page by page; holds no connection between two pages."""

from collections.abc import Callable, Iterator

from core.models import StageKey
from core.pages import Page
from core.task_runs import TaskResult
from repositories.ports import Database

_PAGE = 200
"""Results per page; large results make pages shorter (`MAX_PAGE_BYTES`)."""


def results_page(database: Database, key: StageKey, first_index: int) -> Page[TaskResult]:
    """Reads the page of results that begins at an index, in a transaction of its own."""
    with database.transaction() as work:
        return work.tasks.results_page(key, first_index - 1, _PAGE)


def result_pages(page_at: Callable[[int], Page[TaskResult]], first_index: int = 0) -> Iterator[Page[TaskResult]]:
    """Yields the pages from an index on, in index order; the last one may be empty.

    Args:
        page_at: reads the page that begins at an index.
        first_index: where the first page begins.
    """
    while True:
        page = page_at(first_index)
        yield page
        if not page.has_more:
            return
        first_index = page[-1].task_index + 1
