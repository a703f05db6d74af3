"""How often the page asks, by a clock that the test moves; its requests are answered inside the page."""

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.polled_answers import ANSWERS_OF_ONE, DELETED, LETTER, SLOW_ANSWERS
from tests.browser.polled_job import JOB
from tests.browser.polled_page import STEP, pass_time, times

pytestmark = pytest.mark.one_worker


def test_the_page_asks_less_often_while_nothing_changes_and_more_often_when_something_does(polling: Page) -> None:
    polling.evaluate("answer = { status: 304, headers: {} }")
    pass_time(polling, 90_000)
    asked = times(polling)
    waits = [after - before for before, after in pairwise(asked)]
    assert waits[0] <= 2_000
    assert max(waits) == waits[-1] <= 15_000 + 2 * STEP
    assert waits[-1] > 14_000
    assert polling.evaluate("asked.at(-1).tag") == '"one"'

    polling.evaluate("answer = { status: 200, body: { jobs: [], next: 'x' }, headers: {} }")
    pass_time(polling, 17_000)
    polling.evaluate("asked.length = 0; answer = () => ({ status: 200, body: { jobs: [], next: `${Date.now()}` } })")
    pass_time(polling, 30_000)
    assert len(times(polling)) >= 14


def test_a_hidden_page_does_not_ask_and_asks_at_once_when_it_is_shown(polling: Page) -> None:
    polling.evaluate("hide(true)")
    before = len(times(polling))
    pass_time(polling, 30_000)
    polling.evaluate("location.hash = '#/jobs?status=failed'")
    pass_time(polling, 30_000)
    assert len(times(polling)) == before
    polling.evaluate("hide(false)")
    pass_time(polling, STEP)
    assert len(times(polling)) == before + 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_page_waits_as_long_as_the_app_asks_for_and_says_so(polling: Page, status: int) -> None:
    busy: dict[str, Any] = {"status": status, "body": {}, "headers": {"Retry-After": "20"}}
    polling.evaluate("(busy) => { answer = busy; asked.length = 0; }", busy)
    pass_time(polling, 3_000)
    assert len(times(polling)) == 1
    assert "The app is busy" in polling.get_by_role("status").inner_text()
    polling.evaluate("answer = { status: 200, body: { jobs: [], next: null }, headers: {} }")
    pass_time(polling, 16_000)
    assert len(times(polling)) == 1
    pass_time(polling, 4_000)
    assert len(times(polling)) > 1
    assert polling.get_by_role("status").inner_text() == ""


def test_the_page_asks_less_often_when_the_app_takes_long_to_answer(polling: Page) -> None:
    """A tenth of the time at most: the counts of a large job may take long, and several pages may be open."""
    polling.evaluate(
        """() => {
          const asks = fetch;
          globalThis.fetch = async (...given) => {
            await new Promise((resolve) => setTimeout(resolve, 500));
            return asks(...given);
          };
          answer = () => ({ status: 200, body: { jobs: [], next: `${Date.now()}` } });
          asked.length = 0;
        }"""
    )
    pass_time(polling, 60_000)
    assert 8 <= len(times(polling)) <= 12


def test_a_refusal_is_gone_when_the_app_answers_again_that_nothing_has_changed(polling: Page) -> None:
    polling.evaluate("answer = { status: 500, body: { detail: 'It broke.' }, headers: {} }")
    pass_time(polling, 3_000)
    assert polling.get_by_role("alert").inner_text() == "It broke."
    polling.evaluate("answer = { status: 304, headers: {} }")
    pass_time(polling, 3_000)
    assert polling.get_by_role("alert").count() == 0
    assert "There are no jobs yet." in polling.get_by_role("main").inner_text()


def test_a_refusal_stands_above_what_was_known_before(polling: Page) -> None:
    polling.evaluate("(body) => { answer = { status: 200, body, headers: {} }; location.hash = '#/queues/1'; }", LETTER)
    pass_time(polling, 3_000)
    polling.evaluate("answer = { status: 500, body: { detail: 'It broke.' }, headers: {} }")
    pass_time(polling, 3_000)
    assert polling.get_by_role("alert").inner_text() == "It broke."
    assert "a message" in polling.get_by_role("main").inner_text()


@pytest.mark.parametrize("place", DELETED)
def test_what_has_been_deleted_is_shown_no_longer(polling: Page, place: str) -> None:
    answers = {"path": f"/api/{DELETED[place]['path']}", "body": DELETED[place]["body"], "job": JOB}
    polling.evaluate(ANSWERS_OF_ONE, answers)
    polling.evaluate(f"location.hash = '#/{place}'")
    pass_time(polling, 3_000)
    shown = polling.get_by_role("heading", level=1).inner_text()
    assert shown == DELETED[place]["heading"]
    polling.evaluate("isDeleted = true")
    pass_time(polling, 3_000)
    assert polling.get_by_role("heading", level=1).inner_text() != shown
    assert polling.get_by_role("alert").first.inner_text() == "It was deleted."
    polling.evaluate("isDeleted = false")
    pass_time(polling, 16_000)
    assert polling.get_by_role("heading", level=1).inner_text() == shown


def test_a_view_asks_at_once_after_a_change_and_after_a_slow_answer(polling: Page) -> None:
    """A slow answer lets the page wait for long, but not somebody who has just cancelled a job or opened a view."""
    polling.evaluate(SLOW_ANSWERS, JOB)
    polling.evaluate(f"location.hash = '#/jobs/{JOB['job_id']}'")
    pass_time(polling, 3_000)
    polling.get_by_role("button", name="Cancel").click()
    polling.evaluate("seconds = 3")
    while not polling.evaluate("isBusy()"):
        polling.clock.run_for(STEP)
    polling.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    polling.evaluate("seconds = 0")
    pass_time(polling, 4_000)
    assert polling.get_by_role("button", name="Cancel").count() == 0

    polling.evaluate("seconds = 3; location.hash = '#/jobs'")
    pass_time(polling, 1_000)
    polling.evaluate("location.hash = '#/queues'")
    pass_time(polling, STEP)
    polling.evaluate("seconds = 0; location.hash = '#/jobs'")
    pass_time(polling, 4_000)
    assert polling.locator("[aria-busy]").count() == 0


def test_the_page_says_when_it_tries_again_to_reach_the_app(polling: Page) -> None:
    polling.evaluate("void (answer = () => { throw new TypeError('Failed to fetch'); })")
    pass_time(polling, 60_000)
    polling.evaluate("asked.length = 0")
    while not times(polling):
        pass_time(polling, STEP)
    shown = polling.get_by_role("status").inner_text()
    assert "The app cannot be reached. Next try in 15 s." in shown
    pass_time(polling, 15_000 - STEP)
    assert len(times(polling)) == 1
    pass_time(polling, 2 * STEP)
    assert len(times(polling)) == 2


@pytest.mark.parametrize(
    "answer", ["() => new Promise(() => {})", "() => ({ status: 200, headers: {}, stalls: true })"]
)
def test_an_answer_that_never_comes_or_ends_does_not_end_the_polling(polling: Page, answer: str) -> None:
    polling.evaluate(f"void (answer = {answer})")
    pass_time(polling, 20_000)
    assert polling.get_by_role("status").inner_text() == ""
    pass_time(polling, 60_000)
    assert "The app cannot be reached." in polling.get_by_role("status").inner_text()
    polling.evaluate("answer = { status: 200, body: { jobs: [], next: null }, headers: {} }")
    pass_time(polling, 62_000)  # another request waits without an answer
    assert polling.get_by_role("status").inner_text() == ""


def test_events_and_failures_are_read_again_after_a_pause_of_the_page(polling: Page) -> None:
    """Neither has another reason to be read: the status and the number of failed tasks stay the same."""
    polling.evaluate(SLOW_ANSWERS, JOB)
    polling.evaluate("isRefused = true")
    polling.evaluate(f"location.hash = '#/jobs/{JOB['job_id']}'")
    pass_time(polling, 3_000)
    assert {each.inner_text() for each in polling.get_by_role("alert").all()} == {"Not now."}
    polling.evaluate("hide(true)")
    pass_time(polling, 40_000)
    asked = len(times(polling))
    pass_time(polling, 40_000)
    assert len(times(polling)) == asked
    polling.evaluate("isRefused = false; hide(false)")
    pass_time(polling, 40_000)
    assert polling.get_by_role("alert").count() == 0


@pytest.mark.parametrize("place", ["jobs", "submit"])
def test_the_job_types_are_asked_for_again_when_they_were_refused(polling: Page, place: str) -> None:
    polling.evaluate("(place) => { jobTypes = null; location.hash = place; }", "#/nothing")
    pass_time(polling, 1_000)
    polling.evaluate("(place) => { location.hash = place; }", f"#/{place}")
    pass_time(polling, 3_000)
    polling.evaluate("jobTypes = [{ name: 'survey', parameters: {} }]")
    pass_time(polling, 80_000)
    assert "survey" in polling.get_by_role("combobox", name="Type").inner_text()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_duration_is_right_when_the_clock_of_the_browser_is_wrong(polling: Page, minutes: int) -> None:
    polling.evaluate(
        """([job, minutes]) => {
          const now = () => Date.now() + minutes * 60_000;
          const started = new Date(now() - 90_000).toISOString();
          const body = () => ({ jobs: [{ ...job, stage: 0, started_at: started, created_at: started }], next: null });
          answer = () => ({ status: 200, body: body(), headers: { Date: new Date(now()).toUTCString() } });
        }""",
        [JOB, minutes],
    )
    pass_time(polling, 3_000)
    assert "\t1 min 3" in polling.get_by_role("row").last.inner_text()
