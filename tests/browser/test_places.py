"""The places of the page: what its URL may hold, and the way back."""

import pytest
from playwright.sync_api import Page

from tests.browser.polled_job import JOB
from tests.browser.polled_page import STEP, pass_time

pytestmark = pytest.mark.one_worker

ANSWER_ALL = """
    () => {
      globalThis.paths = [];
      answer = (path) => {
        paths.push(path);
        return { status: 404, body: { detail: "There is none." }, headers: {} };
      };
    }
"""


def go(page: Page, place: str) -> None:
    page.evaluate("(place) => { location.hash = place; }", place)
    pass_time(page, 2 * STEP)


@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__", "nothing"])
def test_a_place_that_does_not_exist_says_so(polling: Page, name: str) -> None:
    go(polling, f"#/{name}")
    assert polling.get_by_role("heading", level=1).inner_text() == "No such page"
    assert polling.title() == "No such page \u2013 Lockstep"
    go(polling, "#/submit")
    assert polling.get_by_role("heading", level=1).inner_text() == "Submit a job"


@pytest.mark.parametrize(
    "place",
    [
        "jobs/..%2Fqueues",
        "jobs/a%3Fb",
        "jobs/..%2F..%2Fx/tasks/..%2Fy",
        "queues/..%2Fjobs",
        "jobs/%2E%2E%2Fa/batches/b",
        "jobs/..",
        "queues/.",
    ],
)
def test_an_id_of_the_url_stays_one_part_of_a_path(polling: Page, place: str) -> None:
    polling.evaluate(ANSWER_ALL)
    go(polling, f"#/{place}")
    paths = polling.evaluate("paths")
    assert paths
    start = f"/api/{'dead-letters' if place.startswith('queues') else 'jobs'}/"
    assert [path for path in paths if not path.startswith(start)] == []
    assert "NaN" not in polling.get_by_role("main").inner_text()


def test_the_way_back_to_another_text_shows_it_in_the_search(polling: Page) -> None:
    search = polling.get_by_role("searchbox")
    search.fill("north")
    pass_time(polling, 2 * STEP)
    assert polling.evaluate("location.hash") == "#/jobs?text=north"
    go(polling, "#/jobs?text=north&after=x")
    search.fill("south")
    pass_time(polling, 2 * STEP)
    assert polling.evaluate("location.hash") == "#/jobs?text=south"
    polling.go_back()
    pass_time(polling, 2 * STEP)
    assert polling.evaluate("location.hash") == "#/jobs?text=north"
    assert search.input_value() == "north"
    pass_time(polling, 2 * STEP)
    assert polling.evaluate("location.hash") == "#/jobs?text=north"


def test_the_focus_stays_in_the_search_while_somebody_types(polling: Page) -> None:
    """Also when the page was opened without a place, as it is for the first time."""
    assert polling.evaluate("location.hash") == ""
    search = polling.get_by_role("searchbox")
    search.focus()
    for text in ("no", "rth"):
        polling.keyboard.type(text)
        pass_time(polling, 2 * STEP)
        assert search.evaluate("box => box === document.activeElement")
    assert polling.evaluate("location.hash") == "#/jobs?text=north"


def test_a_status_that_is_chosen_while_a_text_is_typed_stays_chosen(polling: Page) -> None:
    polling.get_by_role("searchbox").fill("north")
    polling.get_by_role("combobox", name="Status").select_option("failed")
    pass_time(polling, 2 * STEP)
    assert polling.evaluate("location.hash") == "#/jobs?status=failed&text=north"


def test_a_time_tells_its_day_and_its_zone(polling: Page) -> None:
    polling.evaluate("(job) => { answer = { status: 200, body: { jobs: [job], next: null }, headers: {} }; }", JOB)
    pass_time(polling, 4 * STEP)
    assert polling.locator("time").first.get_attribute("title") == "1 Dec 2026, 00:00:00 UTC"


@pytest.mark.parametrize(
    ("place", "title"),
    [
        ("jobs", "Jobs"),
        ("jobs/abcdefghij", "Job abcdefgh"),
        ("jobs/abcdefghij/tasks/abcdefghij-s02-t0000007", "Task 7 of job abcdefgh"),
        ("jobs/abcdefghij/batches/abcdefghij-s2-b3", "Batch 3 of job abcdefgh"),
        ("jobs/abcdefghij/failures/00", "Failures of job abcdefgh"),
        ("queues", "Queues"),
        ("queues/3", "Dead letter 3"),
        ("submit", "Submit a job"),
    ],
)
def test_each_place_has_a_title_for_tabs_and_the_history(polling: Page, place: str, title: str) -> None:
    polling.evaluate(ANSWER_ALL)
    go(polling, f"#/{place}")
    assert polling.title() == f"{title} \u2013 Lockstep"
