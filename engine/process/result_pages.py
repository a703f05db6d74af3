"""Reads the results of an ended stage's tasks page by page; holds no connection between two pages."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from core.log_threads import joined
from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.task_runs import TaskResult
from repositories.ports import Database

_PAGE = 200
"""Results per page; large results make pages shorter (`MAX_PAGE_BYTES`)."""

_PAGE_AHEAD = 1_000
"""Results of a page that is read ahead: the cost of a page beside its rows is spread over more of them."""

_BYTES_AHEAD = MAX_PAGE_BYTES // 2
"""Two pages are in memory while one of them is read ahead."""


def results_page(
    database: Database, key: StageKey, first_index: int, limit: int = _PAGE, max_bytes: int = MAX_PAGE_BYTES
) -> Page[TaskResult]:
    """Reads the page of results that begins at an index, in a transaction of its own."""
    with database.transaction() as work:
        return work.tasks.results_page(key, first_index - 1, limit, max_bytes)


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


def result_pages_ahead(database: Database, key: StageKey, first_index: int = 0) -> Iterator[Page[TaskResult]]:
    """Yields the pages from an index on, and reads the next one on a thread while the caller works with a page.

    The first page is short, because the caller may need no other; a stage of one page needs no thread. The error of a
    read is raised where the caller asks for its page.
    """

    def page_at(index: int) -> Page[TaskResult]:
        return results_page(database, key, index, _PAGE if index == first_index else _PAGE_AHEAD, _BYTES_AHEAD)

    pages = result_pages(page_at, first_index)
    page = next(pages)
    if page.has_more:
        thread = ThreadPoolExecutor(1, thread_name_prefix="results")
        try:
            while page.has_more:
                following = thread.submit(joined(next), pages)
                yield page
                page = following.result()
        finally:
            # Not waited for: a caller that stops may be in a hurry, or the collector of garbage on any thread.
            thread.shutdown(wait=False, cancel_futures=True)
    yield page
