"""What the page keeps while its views change: how far the reader has scrolled, and the focus."""

import pytest
from playwright.sync_api import Page

from tests.browser.polled_job import CHANGING_ANSWERS, JOB
from tests.browser.polled_page import STEP, pass_time
from tests.support.waiting import wait_until

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
_ALWAYS = "(body) => { globalThis.answer = () => ({ status: 200, body, headers: {} }); }"
_A_JOB = f"#/jobs/{JOB['job_id']}"


def scroll(page: Page, top: int) -> None:
    page.evaluate(f"scrollTo(0, {top})")
    wait_for_top(page, top)


def wait_for_top(page: Page, top: int) -> None:
    """The view is laid out in a frame, which the clock of the page does not make."""
    wait_until(lambda: page.evaluate("Math.round(scrollY)") == top)


def top_of_whole_list(page: Page) -> int:
    """Where the reader is when the list is there: the page scrolls, if it does, in the moment in which that appears."""
    page.get_by_role("row").nth(40).wait_for()
    return int(page.evaluate("Math.round(scrollY)"))


def go(page: Page, place: str) -> None:
    page.evaluate("(place) => { location.hash = place; }", place)
    pass_time(page, 4 * STEP)


def go_back(page: Page) -> None:
    page.go_back()
    pass_time(page, 4 * STEP)


def go_forward(page: Page) -> None:
    page.go_forward()
    pass_time(page, 4 * STEP)


@pytest.fixture
def left(polling: Page) -> Page:
    """The page of a job, to which the reader came from the middle of the list."""
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate(_STAND_STILL)
    pass_time(polling, 40 * STEP)
    scroll(polling, _TOP)
    go(polling, _A_JOB)
    return polling


def test_a_new_view_begins_at_its_top_and_the_way_back_leads_to_where_the_reader_was(left: Page) -> None:
    wait_for_top(left, 0)
    go_back(left)
    wait_for_top(left, _TOP)
    go_forward(left)
    wait_for_top(left, 0)
    go(left, "#/jobs")
    wait_for_top(left, 0)  # by a link: this list is a new one


def test_the_way_back_to_another_page_of_the_same_list_leads_there_too(left: Page) -> None:
    go_back(left)
    wait_for_top(left, _TOP)
    go(left, "#/jobs?after=x")
    scroll(left, 100)
    go_back(left)
    wait_for_top(left, _TOP)
    go_forward(left)
    wait_for_top(left, 100)


def test_whoever_scrolls_before_the_list_is_there_is_not_moved_again(left: Page) -> None:
    left.evaluate(_ANSWER_LATER)
    go_back(left)
    wait_for_top(left, 0)
    left.evaluate("dispatchEvent(new WheelEvent('wheel'))")
    left.evaluate("release()")
    pass_time(left, 4 * STEP)
    assert top_of_whole_list(left) == 0


def test_who_goes_on_before_the_list_is_there_finds_the_place_the_next_time(left: Page) -> None:
    left.evaluate(_ANSWER_LATER)
    go_back(left)
    wait_for_top(left, 0)
    go_forward(left)
    left.evaluate("release()")
    pass_time(left, 4 * STEP)
    go_back(left)
    wait_for_top(left, _TOP)


def test_a_list_that_has_become_short_is_shown_to_its_end_and_not_moved_when_it_grows(left: Page) -> None:
    left.evaluate("() => { globalThis.long = answer; }")
    left.evaluate(_ALWAYS, {"jobs": [], "next": None})
    go_back(left)
    wait_for_top(left, 0)
    left.evaluate("() => { answer = long; }")
    pass_time(left, 40 * STEP)
    assert top_of_whole_list(left) == 0


def test_the_focus_goes_to_the_view_when_the_button_that_had_it_vanishes(polling: Page) -> None:
    polling.evaluate(_ALWAYS, {**JOB, "stages": []})
    go(polling, _A_JOB)
    polling.get_by_role("button", name="Cancel").focus()
    assert end_job(polling) == "MAIN"


def test_the_focus_of_a_button_that_the_reader_has_left_goes_nowhere_with_it(polling: Page) -> None:
    polling.evaluate(_ALWAYS, {**JOB, "stages": []})
    go(polling, _A_JOB)
    polling.get_by_role("button", name="Cancel").focus()
    polling.evaluate("document.activeElement.blur()")
    assert end_job(polling) == "BODY"


def end_job(page: Page) -> str:
    """The job ends, and with it the button that cancels it; returns what has the focus then."""
    page.evaluate(_ALWAYS, {**JOB, "stages": [], "status": "completed", "finished_at": JOB["created_at"]})
    pass_time(page, 40 * STEP)
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    return str(page.evaluate("document.activeElement.tagName"))
