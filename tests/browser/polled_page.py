"""The page with a clock that a test moves, and requests that are answered inside the page."""

import time
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

from api import monitor, page_files

SITE = "http://monitor.test"
FAKE_ANSWERS = """
    globalThis.asked = [];
    globalThis.jobTypes = [];
    globalThis.answer = { status: 200, body: { jobs: [], next: null }, headers: { ETag: '"one"' } };
    globalThis.fetch = async (url, options) => {
      const path = new URL(url, location).pathname;
      if (path.endsWith("/job-types") && !jobTypes) return new Response("{}", { status: 500 });
      if (path.endsWith("/job-types")) return new Response(JSON.stringify({ job_types: jobTypes }));
      asked.push({ at: Date.now(), tag: options.headers["If-None-Match"] ?? null });
      const { status, body, headers, stalls } = typeof answer === "function" ? await answer(path, options) : answer;
      if (stalls) return new Response(new ReadableStream(), { status, headers });
      const text = status === 304 ? "" : JSON.stringify(body);
      const response = new Response(status === 304 ? null : text, { status, headers });
      // The browser reads a body when it has time, perhaps after the next step of the clock.
      return Object.assign(response, { text: async () => text, json: async () => JSON.parse(text) });
    };
    globalThis.hide = (hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    };
"""
STEP = 500
_AHEAD_SECONDS = 3_600
_AFTER_EARLIER_EVENTS = """
    () => new Promise((done) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => { channel.port1.close(); done(); };
      channel.port2.postMessage(null);
    })
"""


def open_page(page: Page) -> None:
    """Opens the list of jobs with a clock that stands still from the beginning, and lets the page ask once."""

    def serve(route: Route) -> None:
        path = urlsplit(route.request.url).path.removeprefix("/api/monitor").removeprefix("/")
        file = page_files.read(monitor.files()[path or page_files.PAGE])
        headers = {"Content-Security-Policy": page_files.CONTENT_SECURITY_POLICY, "Content-Type": file.media_type}
        route.fulfill(body=file.content, headers=headers)

    page.route(f"{SITE}/**", serve)
    page.clock.install()
    page.clock.pause_at(time.time() + _AHEAD_SECONDS)  # the clock goes until then, and never back
    page.add_init_script(FAKE_ANSWERS)
    page.goto(f"{SITE}/api/monitor")
    page.get_by_role("heading", level=1).wait_for()
    pass_time(page, STEP)


def pass_time(page: Page, milliseconds: int) -> None:
    """Moves the clock, after the events that have been caused before, such as that of a new place."""
    page.evaluate(_AFTER_EARLIER_EVENTS)
    for _ in range(0, milliseconds, STEP):  # an answer arrives between two steps
        page.clock.run_for(STEP)


def times(page: Page) -> list[int]:
    found: list[int] = page.evaluate("asked.map(({ at }) => at)")
    return found
