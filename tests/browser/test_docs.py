"""The page to try the API in a real browser, against a running app."""

import json
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import serious_faults
from tests.browser.conftest import KEY, Stack, patient_context

pytestmark = [pytest.mark.timeout(900), pytest.mark.waits, pytest.mark.one_worker]


def show_docs(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/api/docs")
    expect(page.get_by_role("heading", name="Lockstep")).to_be_visible()


def execute(page: Page, name: str) -> dict[str, object]:
    """Opens an operation, executes it, and returns the answer that the page shows."""
    page.get_by_role("button", name=name).first.click()
    operation = page.locator(".opblock.is-open")
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table .response")
    expect(shown.locator(".response-col_status")).to_contain_text("200")
    answer: dict[str, object] = json.loads(shown.locator(".highlight-code pre").inner_text())
    return answer


def test_an_operation_is_tried_with_nothing_from_elsewhere(page: Page, stack: Stack) -> None:
    urls = list[str]()
    page.on("request", lambda request: urls.append(request.url))
    show_docs(page, stack)
    expect(page.get_by_text("/jobs/survey", exact=True)).to_be_visible()
    answer = execute(page, "GET /job-types List")
    assert answer["job_types"] == stack.http.get("/api/job-types").json()["job_types"]
    assert {urlsplit(url).netloc for url in urls if not url.startswith("data:")} == {urlsplit(stack.url).netloc}
    assert [url for url in urls if url.endswith("/api/job-types")] == [f"{stack.url}/api/job-types"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_monitor_leads_to_it(page: Page, stack: Stack, slash: str) -> None:
    page.goto(f"{stack.url}/api/monitor{slash}")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name="Lockstep")).to_be_visible()
    assert urlsplit(page.url).path == "/api/docs"


def test_a_job_is_submitted_from_the_page(page: Page, stack: Stack) -> None:
    show_docs(page, stack)
    page.get_by_role("button", name="POST /jobs/survey").first.click()
    operation = page.locator(".opblock.is-open")
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea.body-param__text").fill('{"plots": 3}')
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table .response")
    expect(shown.locator(".response-col_status")).to_contain_text("202")
    job_id = json.loads(shown.locator(".highlight-code pre").first.inner_text())["job_id"]
    assert stack.status(job_id) in {"pending_queue", "queued", "processing", "completed"}


def test_the_page_asks_for_the_key_and_never_puts_it_into_a_url_or_shows_it(browser: Browser, stack: Stack) -> None:
    context = patient_context(browser)
    page, urls = context.new_page(), list[str]()
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{stack.url}/api/docs")
    for key in ("wrong", KEY):
        page.get_by_role("textbox", name="Key").fill(key)
        page.get_by_role("button", name="Continue").click()
    assert execute(page, "GET /schedules") == {"schedules": []}
    assert "curl" in page.locator(".opblock.is-open").inner_text().lower()
    assert KEY not in page.content()
    expect(page.get_by_role("button", name="Authorize")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Lockstep")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{stack.url}/api/monitor")
    expect(page.get_by_role("combobox", name="Type")).to_contain_text("survey")
    assert page.evaluate("localStorage.length") == 0
    assert not [url for url in urls if KEY in url]
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_what_is_not_swagger_ui(page: Page, stack: Stack, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    show_docs(page, stack)
    assert serious_faults(page, without="#api") == []
