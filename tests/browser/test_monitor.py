"""The monitor in a real browser, against a running app."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import serious_faults
from tests.browser.conftest import KEY, Stack, patient_context, show

pytestmark = [pytest.mark.timeout(900), pytest.mark.waits, pytest.mark.one_worker]


def test_the_page_asks_for_the_key_once_and_never_puts_it_into_a_url(browser: Browser, stack: Stack) -> None:
    context = patient_context(browser)
    page, urls = context.new_page(), list[str]()
    page.on("request", lambda request: urls.append(request.url))
    show(page, stack)
    for key in ("wrong", KEY):
        page.get_by_role("textbox", name="Key").fill(key)
        page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("combobox", name="Type")).to_contain_text("survey")
    page.reload()
    expect(page.get_by_role("combobox", name="Type")).to_contain_text("survey")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("localStorage.length") == 0
    assert not [url for url in urls if KEY in url]
    context.close()


def test_a_running_job_is_watched_to_its_end_without_a_reload(page: Page, held_stack: Stack) -> None:
    job_id = held_stack.submit(plots=120, seconds=0.2, area="live")
    show(page, held_stack)
    row = page.get_by_role("row").filter(has_text=job_id[:8])
    expect(row).to_contain_text(re.compile("Queued|Processing"))
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("survey")
    held_stack.release()
    expect(page.locator(".facts")).to_contain_text("Completed")
    expect(page.get_by_text("Stage 2 finished: 120 completed, 0 failed, 0 cancelled")).to_be_visible()


def test_a_job_shows_what_its_running_tasks_say(page: Page, held_stack: Stack) -> None:
    job_id = held_stack.submit(plots=2, seconds=1, area="far away")
    show(page, held_stack, f"#/jobs/{job_id}")
    running = page.get_by_role("region", name="Running tasks")
    said = running.get_by_role("row").filter(has_text="walks to plot 1")
    expect(said.get_by_role("progressbar")).to_have_attribute("value", "0.25")
    said.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Task 1 of stage 2")
    held_stack.http.post(f"/api/jobs/{job_id}/cancel")


def test_jobs_are_found_by_status_and_by_a_text_in_their_parameters(page: Page, stack: Stack, failed_job: str) -> None:
    other = stack.submit(plots=1, area="a small garden")
    show(page, stack)
    rows = page.locator("tbody tr")
    page.get_by_role("combobox", name="Status").select_option("completed_with_errors")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(failed_job[:8])
    page.get_by_role("combobox", name="Status").select_option("")
    page.get_by_role("searchbox").fill("small garden")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(other[:8])
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("small garden")
    page.get_by_role("searchbox").fill("<b>nothing</b>")
    expect(page.get_by_text("No job is like this.")).to_be_visible()


def test_the_map_tells_of_a_batch_and_opens_its_tasks(page: Page, stack: Stack, failed_job: str) -> None:
    show(page, stack, f"#/jobs/{failed_job}")
    batches = page.get_by_role("slider", name="Map of the batches")
    expect(page.locator(".legend")).to_contain_text("5 ended with failures")
    batches.hover(position={"x": 4 * 18 + 5, "y": 5})
    expect(page.locator(".map-told")).to_contain_text(
        "Batch 4: ended with failures, 99 of 100 tasks completed, 1 failed"
    )
    batches.click(position={"x": 4 * 18 + 5, "y": 5})
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch 4 of stage 2")
    expect(page.locator("tbody tr")).to_have_count(100)
    expect(page.locator("tbody tr").filter(has_text="Failed")).to_contain_text("plot 499 cannot be reached")


def test_everything_is_reached_with_the_keyboard(page: Page, stack: Stack, failed_job: str) -> None:
    show(page, stack, f"#/jobs/{failed_job}")
    expect(page.locator(".legend")).to_contain_text("5 ended with failures")
    seen = list[str]()
    while "Map of the batches" not in seen:
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
        )
        assert len(seen) < 30, seen
        if seen[-1] in {"1. route", "2. plots"}:
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name=f"Batches of {seen[-1][3:]}")).to_be_visible()
            expect(page.locator(".legend")).to_be_visible()
    batches = page.get_by_role("slider", name="Map of the batches")
    for key in ("End", "Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(batches).to_have_attribute("aria-valuetext", re.compile("Batch 4: ended with failures, 99 of 100"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch 4 of stage 2")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.locator("tbody tr")).to_have_count(100)
    while page.evaluate("document.activeElement.textContent") != "400":
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement !== document.body")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Task 400 of stage 2")


def test_the_page_with_a_slash_at_its_end_works_too(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/api/monitor/#/jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["jobs", "job", "batch", "task", "cause", "submit", "queues", "letter"])
def test_axe_finds_nothing_serious(page: Page, stack: Stack, failed_job: str, view: str, scheme: str) -> None:
    job = f"#/jobs/{failed_job}"
    group = stack.http.get(f"/api/jobs/{failed_job}/failures").json()["groups"][0]["error"]
    letter = stack.keep_dead_letter("sb-tasks", b"{}", f"of {view} in {scheme}")
    places = {
        "jobs": ("#/jobs", "Jobs"),
        "job": (job, "survey"),
        "batch": (f"{job}/batches/{failed_job}-s2-b4", "Batch 4"),
        "task": (f"{job}/tasks/{failed_job}-s02-t0000499", "Task 499"),
        "cause": (f"{job}/failures/{group}", "Tasks that failed alike"),
        "submit": ("#/submit/survey", "Submit a job"),
        "queues": ("#/queues", "Queues"),
        "letter": (f"#/queues/{letter}", f"Dead letter {letter}"),
    }
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    place, heading = places[view]
    show(page, stack, place)
    expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    expect(page.locator("[aria-busy]")).to_have_count(0)
    if view == "submit":
        page.get_by_role("button", name="Submit survey").click()
        expect(page.locator(".field-error")).to_be_visible()
    assert serious_faults(page) == []
