"""What the page keeps while its views change: how far the reader has scrolled, and the focus."""

import pytest
from playwright.sync_api import Page

from tests.browser.polled_job import CHANGING_ANSWERS, JOB
from tests.browser.polled_page import STEP, pass_time

pytestmark = pytest.mark.one_worker

_TOP = 700
_STAND_STILL = "() => { const make = answer, kept = {}; answer = (path) => (kept[path] ??= make(path)); }"
_ANSWER_LATER = """
    () => {
      const make = answer;
      const released = new Promise((resolve) => { globalThis.release = () => void resolve(); });
      answer = async (path) => { await released; return make(path); };
    }
"""
_ENDED = "(job) => { globalThis.answer = () => ({ status: 200, body: job, headers: {} }); }"


def top(page: Page) -> int:
    return int(page.evaluate("Math.round(scrollY)"))


def go(page: Page, action: str) -> None:
    page.evaluate(action)
    pass_time(page, 4 * STEP)


@pytest.fixture
def left(polling: Page) -> Page:
    """The page of a job, to which the reader came from the middle of the list."""
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate(_STAND_STILL)
    pass_time(polling, 40 * STEP)
    polling.evaluate(f"scrollTo(0, {_TOP})")
    pass_time(polling, STEP)
    assert top(polling) == _TOP
    go(polling, "location.hash = '#/jobs/' + 'a'.repeat(32)")
    return polling


def test_a_new_view_begins_at_its_top_and_the_way_back_leads_to_where_the_reader_was(left: Page) -> None:
    assert top(left) == 0
    go(left, "history.back()")
    assert top(left) == _TOP
    go(left, "history.forward()")
    assert top(left) == 0
    go(left, "location.hash = '#/jobs'")
    assert top(left) == 0  # by a link: this list is a new one


def test_whoever_scrolls_before_the_list_is_there_is_not_moved_again(left: Page) -> None:
    left.evaluate(_ANSWER_LATER)
    go(left, "history.back()")
    assert top(left) == 0
    left.mouse.wheel(0, 1)
    go(left, "release()")
    left.get_by_role("row").nth(40).wait_for()
    assert top(left) < _TOP


def test_the_focus_goes_to_the_view_when_the_button_that_had_it_vanishes(polling: Page) -> None:
    polling.evaluate(_ENDED, {**JOB, "stages": []})
    go(polling, "location.hash = '#/jobs/' + 'a'.repeat(32)")
    polling.get_by_role("button", name="Cancel").focus()
    polling.evaluate(_ENDED, {**JOB, "stages": [], "status": "completed", "finished_at": JOB["created_at"]})
    pass_time(polling, 40 * STEP)
    assert polling.get_by_role("button", name="Cancel").count() == 0
    assert polling.evaluate("document.activeElement.tagName") == "MAIN"
