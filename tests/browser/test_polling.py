"""How often the page asks, by a clock that the test moves; its requests are answered inside the page."""

from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from api import monitor, page_files
from tests.browser.polled_job import CHANGING_JOB, JOB

pytestmark = pytest.mark.one_worker

SITE = "http://monitor.test"
FAKE_ANSWERS = """
    globalThis.asked = [];
    globalThis.answer = { status: 200, body: { jobs: [], next: null }, headers: { ETag: '"one"' } };
    globalThis.fetch = async (url, options) => {
      const path = new URL(url, location).pathname;
      if (path.endsWith("/job-types")) return new Response('{"job_types": []}');
      asked.push({ at: Date.now(), tag: options.headers["If-None-Match"] ?? null });
      const { status, body, headers } = typeof answer === "function" ? answer(path) : answer;
      return new Response(status === 304 ? null : JSON.stringify(body), { status, headers });
    };
    globalThis.hide = (hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    };
"""
STEP = 500


@pytest.fixture
def polling(blank_page: Page) -> Page:
    """The list of jobs, whose clock stands still."""

    def serve(route: Route) -> None:
        path = urlsplit(route.request.url).path.removeprefix("/api/monitor").removeprefix("/")
        file = page_files.read(monitor.files()[path or page_files.PAGE])
        headers = {"Content-Security-Policy": page_files.CONTENT_SECURITY_POLICY, "Content-Type": file.media_type}
        route.fulfill(body=file.content, headers=headers)

    blank_page.route(f"{SITE}/**", serve)
    blank_page.clock.install()
    blank_page.add_init_script(FAKE_ANSWERS)
    blank_page.goto(f"{SITE}/api/monitor")
    blank_page.get_by_role("heading", level=1).wait_for()
    blank_page.clock.pause_at((blank_page.evaluate("Date.now()") + STEP) / 1_000)
    return blank_page


def pass_time(page: Page, milliseconds: int) -> None:
    for _ in range(0, milliseconds, STEP):  # an answer arrives between two steps
        page.clock.run_for(STEP)


def times(page: Page) -> list[int]:
    found: list[int] = page.evaluate("asked.map(({ at }) => at)")
    return found


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


def test_a_page_that_polls_for_long_does_not_grow(polling: Page) -> None:
    """A quarter of an hour of a job with 10,000 batches, whose state is another in each answer."""
    polling.evaluate(CHANGING_JOB, JOB)
    polling.evaluate(f"location.hash = '#/jobs/{JOB['job_id']}'")
    pass_time(polling, 60_000)
    early = size_of(polling)
    for _ in range(840):
        polling.clock.run_for(1_000)
    late = size_of(polling)
    assert len(times(polling)) > 1_500
    assert late["Nodes"] <= early["Nodes"] + 50
    assert late["JSEventListeners"] <= early["JSEventListeners"] + 20
    assert late["JSHeapUsedSize"] < early["JSHeapUsedSize"] + 3_000_000


def size_of(page: Page) -> dict[str, float]:
    page.evaluate("asked.length > 1 && (asked = Array(asked.length).fill({ at: 0 }))")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    for _ in range(3):
        devtools.send("HeapProfiler.collectGarbage")
    return {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
