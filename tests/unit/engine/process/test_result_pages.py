"""Pages of results that are read ahead; the database of these tests holds nothing but pages."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from core.errors import DatabaseUnavailableError
from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import TaskStatus
from core.task_runs import TaskResult
from engine.process.result_pages import result_pages_ahead
from repositories.ports import Database
from tests.support.waiting import LONG_SECONDS

KEY = StageKey("0" * 32, 1)
SECONDS = LONG_SECONDS


class Pages:
    """A stage of results, and which pages of it were asked for; `opened` runs in the thread that reads one."""

    def __init__(self, results: int, opened: Callable[[int], None] = lambda _: None) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self.threads: list[str] = []
        self.tasks = self
        self._results = results
        self._opened = opened

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        yield self

    def results_page(self, _key: StageKey, after: int, limit: int, max_bytes: int) -> Page[TaskResult]:
        self.asked.append((after + 1, limit, max_bytes))
        self.threads.append(threading.current_thread().name)
        self._opened(after + 1)
        indexes = range(after + 1, min(after + 1 + limit, self._results))
        results = (TaskResult(index, "run", TaskStatus.COMPLETED, index, None) for index in indexes)
        return Page(results, has_more=after + 1 + limit < self._results)

    def read(self, first_index: int = 0) -> Iterator[Page[TaskResult]]:
        return result_pages_ahead(cast(Database, self), KEY, first_index)


def indexes(pages: Iterator[Page[TaskResult]]) -> list[int]:
    return [result.task_index for page in pages for result in page]


@pytest.mark.parametrize("results", [0, 1, 200, 201, 1_200, 1_201, 3_500])
def test_all_results_are_read_once_and_in_order(results: int) -> None:
    assert indexes(Pages(results).read()) == list(range(results))
    assert indexes(Pages(results).read(first_index=150)) == list(range(150, results))


def test_the_next_page_is_read_while_the_caller_works_with_a_page() -> None:
    second = threading.Event()
    pages = Pages(1_300, lambda first: second.set() if first == 200 else None).read()

    assert len(next(pages)) == 200

    assert second.wait(SECONDS)  # nobody has asked for it
    assert [len(page) for page in pages] == [1_000, 100]


def test_a_stage_of_one_page_is_read_without_a_thread() -> None:
    database = Pages(200)

    assert len(indexes(database.read())) == 200

    assert database.threads == [threading.current_thread().name]


def test_two_pages_together_are_no_larger_than_one_page_elsewhere() -> None:
    database = Pages(2_000)

    indexes(database.read())

    assert database.asked == [
        (0, 200, MAX_PAGE_BYTES // 2),
        (200, 1_000, MAX_PAGE_BYTES // 2),
        (1_200, 1_000, MAX_PAGE_BYTES // 2),
    ]


def test_a_failed_read_is_raised_where_its_page_is_asked_for() -> None:
    def fail(first: int) -> None:
        if first == 200:
            raise DatabaseUnavailableError("the server is gone")

    pages = Pages(500, fail).read()

    assert len(next(pages)) == 200
    with pytest.raises(DatabaseUnavailableError):
        next(pages)


def test_a_caller_that_stops_does_not_wait_for_the_read_in_progress_which_is_the_last() -> None:
    goes_on, before = threading.Event(), set(threading.enumerate())  # those of other tests may end meanwhile
    database = Pages(10_000, lambda first: None if first == 0 else cast(None, goes_on.wait(SECONDS)))
    pages = database.read()
    next(pages)

    pages.close()  # type: ignore[attr-defined]

    (thread,) = [each for each in set(threading.enumerate()) - before if each.name.startswith("results")]
    goes_on.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert len(database.asked) == 2
