"""The monitor with a job of 1,000,000 tasks and 10,000 other jobs; and the pictures of the documentation."""

import os
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, Request, ViewportSize, expect

from tests.browser.conftest import DESKTOP, WAIT_SECONDS, Stack
from tests.browser.figures import PICTURES, Figures
from tests.browser.large_job import BATCHES, LARGE_JOB, SOME_BATCHES, end_most, fill
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.waits, pytest.mark.one_worker]

TALL = ViewportSize(width=1280, height=1240)
PHONE = ViewportSize(width=390, height=844)


@pytest.fixture(scope="module")
def large(stack: Stack) -> Stack:
    """The stack with many rows, and with a job in which some tasks have failed."""
    wait_until(
        lambda: stack.http.get("/api/jobs").status_code == 200, WAIT_SECONDS
    )  # the app has migrated the database
    fill(stack.database_url, BATCHES if PICTURES in os.environ else SOME_BATCHES)
    failed = stack.submit(plots=5_000, fail_every=1_700, area="the far north", tags=["spring", "trees"])
    wait_until(lambda: stack.status(failed) == "completed_with_errors", WAIT_SECONDS)
    return stack


def test_ten_thousand_batches_are_one_small_answer_and_a_canvas(page: Page, large: Stack) -> None:
    urls = list[str]()
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{large.url}/api/monitor#/jobs/{LARGE_JOB}")
    expect(page.locator(".legend")).to_contain_text("1,000 waiting to be queued")
    expect(page.get_by_role("row").filter(has_text="2. plots")).to_contain_text("≈")  # 218,700 tasks are out
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
    last = rows.nth(49).get_by_role("link").first
    place = str(last.get_attribute("href"))
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    expect(last).not_to_have_attribute("href", place)
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="First page").click()
    expect(last).to_have_attribute("href", place)
    expect(page.get_by_role("link", name="First page")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_view_is_wider_than_the_screen(page: Page, large: Stack, width: int) -> None:
    page.set_viewport_size(ViewportSize(width=width, height=800))
    for place in ("jobs", f"jobs/{LARGE_JOB}", "submit/survey", "queues"):
        page.goto(f"{large.url}/api/monitor#/{place}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place


def test_pictures_for_the_documentation(page: Page, large: Stack, figures: Figures) -> None:
    """`make pictures` keeps them in docs/monitor."""
    directory = figures.directory
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


def test_figures_for_the_documentation(page: Page, large: Stack, figures: Figures) -> None:
    """`make pictures` keeps them: when each view is painted, and how long the app works on what the view asks for."""
    group = large.http.get(f"/api/jobs/{LARGE_JOB}/failures").json()["groups"][0]
    task = large.http.get(f"/api/jobs/{LARGE_JOB}/tasks/{group['example_task_id']}").json()
    letter = large.http.get("/api/dead-letters?limit=1").json()["dead_letters"][0]["dead_letter_id"]
    job = f"jobs/{LARGE_JOB}"
    views = {
        "jobs": "jobs",
        "jobs, by a text": "jobs?text=9999",
        "job": job,
        "tasks of a batch": f"{job}/batches/{task['batch_id']}",
        "tasks of a cause": f"{job}/failures/{group['error']}",
        "task": f"{job}/tasks/{task['task_id']}",
        "queues": "queues",
        "dead letter": f"queues/{letter}",
        "submit": "submit/survey",
    }
    names = {task["task_id"]: "TASK_ID", task["batch_id"]: "BATCH_ID", LARGE_JOB: "JOB_ID", group["error"]: "CAUSE"}
    for name, place in {"job, 200,000 tasks out": job, **views}.items():
        if name in views:
            end_most(large.database_url)
        view = _measured(page, large, place)
        assert view["requests"], name
        view["requests"] = {_named(path, names): times for path, times in view["requests"].items()}
        figures.save("views", {name: view})
    page.goto(f"{large.url}/api/monitor#/{job}")
    expect(page.locator(".legend")).to_be_visible()
    figures.save("map of 10,000 batches", {"milliseconds of script for a move of the pointer": page.evaluate(_MOVES)})


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


def _measured(page: Page, large: Stack, place: str) -> dict[str, Any]:
    """Opens a view, and then repeats each of its requests, also with the tag of the answer."""
    asked: list[str] = []
    start = f"{large.url}/api/"

    def note(request: Request) -> None:
        path = request.url.removeprefix(start)
        if request.url.startswith(start) and not path.startswith("monitor") and path not in asked:
            asked.append(path)

    page.goto("about:blank")
    page.on("request", note)
    page.goto(f"{large.url}/api/monitor#/{place}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    complete = page.evaluate("performance.now()")
    # The browser notes it when it has time.
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    if place == f"jobs/{LARGE_JOB}":
        expect(page.locator(".u-wrap")).to_be_visible()
        page.get_by_role("slider", name="Map of the batches").hover(position={"x": 2, "y": 2})
        expect(page.locator(".map-told")).to_contain_text("tasks completed")
    page.remove_listener("request", note)
    return {
        "painted": round(painted),
        "complete": round(complete),
        "requests": {path: _request_milliseconds(large, path) for path in asked},
    }


def _request_milliseconds(large: Stack, path: str) -> dict[str, float | None]:
    """The least of nine for a whole answer, and for one that says that nothing has changed; None without a tag."""
    tag = large.http.get(f"/api/{path}").headers.get("ETag")
    return {
        "200": min(_took(large, path, {}, 200) for _ in range(9)),
        "304": None if tag is None else min(_took(large, path, {"If-None-Match": tag}, 304) for _ in range(9)),
    }


def _took(large: Stack, path: str, headers: dict[str, str], status: int) -> float:
    started = time.perf_counter()
    assert large.http.get(f"/api/{path}", headers=headers).status_code == status
    return round((time.perf_counter() - started) * 1_000, 1)


def _named(path: str, names: dict[str, str]) -> str:
    """A path with a word for each id."""
    for known, word in names.items():
        path = path.replace(known, word)
    return re.sub(r"dead-letters/\d+", "dead-letters/ID", path)
