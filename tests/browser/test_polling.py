"""How often the page asks, by a clock that the test moves; its requests are answered inside the page."""

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

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
