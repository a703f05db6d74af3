"""The monitor with a job of 1,000,000 tasks and 10,000 other jobs; and the pictures of the documentation."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import DESKTOP, WAIT_SECONDS, Stack
from tests.browser.large_job import LARGE_JOB, fill
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(180), pytest.mark.waits, pytest.mark.one_worker]

TALL = ViewportSize(width=1280, height=1240)
PHONE = ViewportSize(width=390, height=844)


@pytest.fixture(scope="module")
def large(stack: Stack) -> Stack:
    """The stack with many rows, and with a job in which some tasks have failed."""
    wait_until(
        lambda: stack.http.get("/api/jobs").status_code == 200, WAIT_SECONDS
    )  # the app has migrated the database
    fill(stack.database_url)
    failed = stack.submit(plots=5_000, fail_every=1_700, area="the far north", tags=["spring", "trees"])
    wait_until(lambda: stack.status(failed) == "completed_with_errors", WAIT_SECONDS)
    return stack


def test_ten_thousand_batches_are_one_small_answer_and_a_canvas(page: Page, large: Stack) -> None:
    urls = list[str]()
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{large.url}/api/monitor#/jobs/{LARGE_JOB}")
    expect(page.locator(".legend")).to_contain_text("1,000 waiting to be queued")
    batches = page.get_by_role("slider", name="Map of the batches")
    batches.focus()
    page.keyboard.press("End")
    expect(batches).to_have_attribute("aria-valuetext", re.compile("^Batch 9,999: waiting to be queued, 0 of"))
    assert len(large.http.get(f"/api/jobs/{LARGE_JOB}/batch-map?stage=2").content) < 11_000
    page.keyboard.press("Home")
    asked = len([url for url in urls if "/batches?" in url])
    for column in range(50):
        batches.hover(position={"x": 5 * column + 2, "y": 2})
    expect(page.locator(".map-told")).to_contain_text("Batch 49: ")
    expect(page.locator(".map-told")).to_contain_text("of 100 tasks completed")
    # The rows of a hundred batches come together.
    assert len([url for url in urls if "/batches?" in url]) <= asked + 1


def test_ten_thousand_jobs_are_read_page_by_page(page: Page, large: Stack) -> None:
    page.goto(f"{large.url}/api/monitor")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    first = rows.nth(49).inner_text()
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    expect(rows).to_have_count(50)
    assert rows.nth(49).inner_text() != first
    page.get_by_role("link", name="First page").click()
    expect(rows.nth(49)).to_have_text(re.compile(".*"))
    expect(page.get_by_role("link", name="First page")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_view_is_wider_than_the_screen(page: Page, large: Stack, width: int) -> None:
    page.set_viewport_size(ViewportSize(width=width, height=800))
    for place in ("jobs", f"jobs/{LARGE_JOB}", "submit/survey", "queues"):
        page.goto(f"{large.url}/api/monitor#/{place}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place


def test_pictures_for_the_documentation(page: Page, large: Stack, tmp_path: Path) -> None:
    """`make pictures` keeps them in docs/monitor."""
    directory = Path(os.environ.get("LOCKSTEP_PICTURES", tmp_path))
    (failed,) = large.http.get("/api/jobs?status=completed_with_errors").json()["jobs"]
    places = {
        "jobs": ("light", DESKTOP, "#/jobs"),
        "job": ("light", TALL, f"#/jobs/{failed['job_id']}"),
        "batch-map-dark": ("dark", TALL, f"#/jobs/{LARGE_JOB}"),
        "submit": ("light", DESKTOP, "#/submit/survey"),
        "phone": ("light", PHONE, f"#/jobs/{LARGE_JOB}"),
    }
    for name, (scheme, size, place) in places.items():
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size(size)
        page.goto(f"{large.url}/api/monitor{place}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        if "jobs/" in place:
            expect(page.locator(".legend")).to_be_visible()
        if LARGE_JOB in place:
            expect(page.locator(".u-wrap")).to_be_visible()
        page.screenshot(path=directory / f"{name}.png")
    assert len(list(directory.glob("*.png"))) >= len(places)


def test_figures_for_the_documentation(page: Page, large: Stack, tmp_path: Path) -> None:
    """`make pictures` keeps them in docs/monitor: when each view is painted, how long the app works on each poll."""
    directory = Path(os.environ.get("LOCKSTEP_PICTURES", tmp_path))
    views = {"jobs": "jobs", "job": f"jobs/{LARGE_JOB}", "submit": "submit/survey", "queues": "queues"}
    polls = ["jobs?limit=50", "jobs?limit=50&text=9999", "queues", "dead-letters?limit=50"]
    polls += [f"jobs/{LARGE_JOB}{part}" for part in ("", "/batch-map?stage=2", "/throughput", "/failures", "/events")]
    figures: dict[str, Any] = {
        "milliseconds until a view is painted, and complete": {
            name: _painted(page, f"{large.url}/api/monitor#/{place}") for name, place in views.items()
        },
        "milliseconds of a request, least of nine": {
            poll.replace(LARGE_JOB, "JOB_ID"): min(_request_milliseconds(large, poll) for _ in range(9))
            for poll in polls
        },
    }
    page.goto(f"{large.url}/api/monitor#/jobs/{LARGE_JOB}")
    expect(page.locator(".legend")).to_be_visible()
    figures["milliseconds of script while the pointer is on 10,000 batches, a move"] = page.evaluate(_MOVES)
    (directory / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


_MOVES = """
    async () => {
      const map = document.querySelector(".map"), { left, top, width } = map.getBoundingClientRect();
      let spent = 0;
      for (let turn = 0; turn < 100; turn += 1) {
        const place = { clientX: left + (width * turn) / 100, clientY: top + 40, bubbles: true };
        const started = performance.now();
        map.dispatchEvent(new MouseEvent("mousemove", place));
        for (let tick = 0; tick < 9; tick += 1) await null; // the views are rendered in one of them
        map.clientWidth; // and laid out
        spent += performance.now() - started;
        await new Promise(requestAnimationFrame);
      }
      return Math.round(spent) / 100;
    }
"""


def _painted(page: Page, url: str) -> list[int]:
    page.goto("about:blank")
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    complete = page.evaluate("performance.now()")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return [round(painted), round(complete)]


def _request_milliseconds(large: Stack, path: str) -> float:
    started = time.perf_counter()
    assert large.http.get(f"/api/{path}").status_code == 200
    return round((time.perf_counter() - started) * 1_000, 1)
