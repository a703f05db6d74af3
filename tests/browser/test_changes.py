"""What people change with the monitor: submit, cancel, resume, retry, resend and discard."""

import re

import pytest
from playwright.sync_api import Page, expect

from core.messages import TaskMessage
from tests.browser.conftest import WAIT_SECONDS, Stack, show
from tests.browser.survey_jobs import HELD_ROUTE
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.waits, pytest.mark.one_worker]


def test_the_tasks_of_one_cause_run_again(page: Page, stack: Stack) -> None:
    job_id = stack.submit(plots=300, fail_every=100, area="to be retried")
    wait_until(lambda: stack.status(job_id) == "completed_with_errors", WAIT_SECONDS)
    show(page, stack, f"#/jobs/{job_id}")
    cause = page.get_by_role("row").filter(has_text="PermanentTaskError")
    expect(cause).to_contain_text("plot # cannot be reached: the bridge is closed")
    expect(cause).to_contain_text("3 tasks")
    cause.get_by_role("link", name="Example").click()
    expect(page.locator(".note-error")).to_contain_text("plot 99 cannot be reached")
    page.go_back()
    stack.mend()
    cause.get_by_role("button", name="Retry these").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry these").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    wait_until(lambda: stack.status(job_id) == "completed", WAIT_SECONDS)
    expect(page.locator(".facts")).to_contain_text("Completed")
    expect(page.get_by_text("Failures by cause")).to_have_count(0)
    stack.break_again()


def test_one_task_and_one_batch_run_again(page: Page, stack: Stack) -> None:
    job_id = stack.submit(plots=300, fail_every=100, area="to be retried in parts")
    wait_until(lambda: stack.status(job_id) == "completed_with_errors", WAIT_SECONDS)
    stack.mend()
    parts = [
        (f"tasks/{job_id}-s02-t0000099", "Retry this task"),
        (f"batches/{job_id}-s2-b1", "Retry failed tasks of this"),
    ]
    for retried, (place, button) in enumerate(parts, start=1):
        show(page, stack, f"#/jobs/{job_id}/{place}")
        page.get_by_role("button", name=button).click()
        page.get_by_role("dialog").get_by_role("button", name="Retry").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        wait_until(lambda left=3 - retried: stack.tasks_in(job_id, "failed") == left, WAIT_SECONDS)  # type: ignore[misc]
        wait_until(lambda: stack.status(job_id) == "completed_with_errors", WAIT_SECONDS)
        expect(page.get_by_text("Failed", exact=True)).to_have_count(0)
    stack.break_again()


def test_a_job_is_cancelled_and_resumed_after_a_question(page: Page, held_stack: Stack) -> None:
    """Its route is held until it has been cancelled, and its plots from then on."""
    stack = held_stack
    stack.hold(HELD_ROUTE)
    job_id = stack.submit(plots=1_000, area="to be cancelled")
    wait_until(lambda: stack.runs_tasks(job_id), WAIT_SECONDS)
    show(page, stack, f"#/jobs/{job_id}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".facts")).to_contain_text("Cancelled")
    assert stack.status(job_id) == "cancelled"
    stack.release(HELD_ROUTE)
    wait_until(lambda: stack.is_settled(job_id), WAIT_SECONDS)
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume the job").click()
    expect(page.locator(".facts")).to_contain_text("Processing")
    stack.http.post(f"/api/jobs/{job_id}/cancel")


def test_a_refused_change_says_why_and_keeps_the_question(page: Page, stack: Stack, failed_job: str) -> None:
    show(page, stack, f"#/jobs/{failed_job}")
    page.route("**/retry", lambda route: route.fulfill(status=409, json={"title": "Not now", "detail": "It runs."}))
    page.get_by_role("button", name="Retry failed tasks").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("It runs.")


def test_a_submitted_job_is_shown_and_what_is_wrong_stands_at_its_field(page: Page, stack: Stack) -> None:
    show(page, stack, "#/submit")
    page.get_by_role("combobox", name="Type").select_option("survey")
    page.get_by_role("button", name="Submit survey").click()
    plots = page.get_by_role("textbox", name="Plots")
    expect(plots).to_be_focused()
    expect(plots).to_have_accessible_description(re.compile("Field required"))
    plots.fill("0")
    page.get_by_role("textbox", name="Area").fill("a" * 41)
    page.get_by_role("button", name="Submit survey").click()
    expect(plots).to_have_accessible_description(re.compile("greater than or equal to 1"))
    expect(page.get_by_role("textbox", name="Area")).to_have_accessible_description(re.compile("at most 40 characters"))
    plots.fill("2")
    page.get_by_role("textbox", name="Area").fill("<img src=x onerror=alert(1)>")
    page.get_by_role("combobox", name="Detail").select_option("fine")
    page.get_by_role("textbox", name="Tags").fill("one\n\ntwo")
    page.get_by_role("textbox", name="Token").fill("a secret token")
    page.get_by_role("button", name="Submit survey").click()
    expect(page.locator(".facts")).to_contain_text("Completed")
    (job_id,) = re.findall("jobs/([0-9a-f]{32})", page.url)
    parameters = stack.http.get(f"/api/jobs/{job_id}").json()["parameters"]
    assert parameters == {
        "plots": 2,
        "area": "<img src=x onerror=alert(1)>",
        "detail": "fine",
        "fail_every": 0,
        "seconds": 0,
        "tags": ["one", "two"],
        "is_final": False,
        "note": None,
        "token": "***",
        "use_service_bus": True,
    }
    page.get_by_text("Parameters", exact=True).click()
    expect(page.locator("pre").first).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0


def test_a_dead_letter_is_shown_and_resent(page: Page, held_stack: Stack) -> None:
    stack = held_stack
    job_id = stack.submit(plots=900, area="with a lost message")
    task_id, batch_id = f"{job_id}-s02-t0000899", f"{job_id}-s2-b8"
    wait_until(lambda: stack.http.get(f"/api/jobs/{job_id}/tasks/{task_id}").status_code == 200, WAIT_SECONDS)
    stack.keep_dead_letter("sb-tasks", TaskMessage(task_id, batch_id).outgoing().body, "a-lost-message")
    show(page, stack, "#/queues")
    expect(page.get_by_role("row").filter(has_text="sb-tasks-long")).to_be_visible()
    page.get_by_role("link", name="a-lost-message").click()
    expect(page.locator("pre")).to_contain_text(task_id)
    page.get_by_role("button", name="Resend").click()
    page.get_by_role("dialog").get_by_role("button", name="Resend").click()
    expect(page.locator(".facts")).to_contain_text("Resent")
    expect(page.get_by_role("button", name="Resend")).to_have_count(0)
    stack.http.post(f"/api/jobs/{job_id}/cancel")


def test_the_queues_of_two_transports_are_told_apart(page: Page, stack: Stack) -> None:
    show(page, stack, "#/queues")
    expect(page.get_by_role("row").filter(has_text="sb-tasks-urgent")).to_have_count(1)
    expect(page.get_by_role("columnheader", name="Transport")).to_have_count(0)
    found = stack.http.get("/api/queues").json()["queues"]
    by_bus = [{**each, "reason": None} for each in found]
    by_storage = [{**each, "transport": "storage", "active": None, "reason": "it may not"} for each in found]
    page.route("**/api/queues", lambda route: route.fulfill(json={"queues": by_bus + by_storage}))
    page.reload()
    rows = page.get_by_role("row").filter(has_text="sb-tasks-urgent")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Service Bus")
    expect(rows.nth(1)).to_contain_text("Storage account")
    expect(page.get_by_text("Messages are not counted: it may not")).to_have_count(1)


def test_a_dead_letter_that_cannot_be_resent_says_why_and_is_discarded(page: Page, stack: Stack) -> None:
    stack.keep_dead_letter("sb-tasks", b"<b>not ours</b>", "a-foreign-message")
    show(page, stack, "#/queues")
    page.get_by_role("link", name="a-foreign-message").click()
    expect(page.locator("pre")).to_have_text("<b>not ours</b>")
    page.get_by_role("button", name="Resend").click()
    page.get_by_role("dialog").get_by_role("button", name="Resend").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("cannot be decoded")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.locator(".facts")).to_contain_text("Discarded")
    page.get_by_role("link", name="Queues").first.click()
    expect(page.get_by_role("link", name="a-foreign-message")).to_have_count(0)
    page.get_by_role("combobox", name="State").select_option("discarded")
    expect(page.get_by_role("link", name="a-foreign-message")).to_be_visible()
