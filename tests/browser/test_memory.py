"""What the page holds while each answer is another one; with `make pictures` for an hour of the page's clock."""

import os
from dataclasses import asdict

import pytest
from playwright.sync_api import Page

from tests.browser.figures import PICTURES, Figures
from tests.browser.heap import heap_size
from tests.browser.polled_job import CHANGING_ANSWERS, JOB
from tests.browser.polled_page import pass_time

pytestmark = [pytest.mark.one_worker, pytest.mark.timeout(900)]

MINUTES = (1, 10, 60) if PICTURES in os.environ else (1, 2, 3)
PLACES = {"jobs": "#/jobs", "job": f"#/jobs/{JOB['job_id']}"}


@pytest.mark.parametrize("view", PLACES)
def test_figures_of_a_page_that_polls_for_long_stay_the_same(polling: Page, figures: Figures, view: str) -> None:
    """The clock moves by a second, in which the page asks and draws; nothing waits for real time.

    The size of the heap proves little, for V8 compiles more the longer the page polls. The number of objects shows one
    object that stays of each answer.
    """
    polling.evaluate(
        "Error.stackTraceLimit = 0"
    )  # the clock keeps with each timer an error, and that what its frames hold
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate(f"location.hash = '{PLACES[view]}'")
    pass_time(polling, 3_000)
    if view == "job":
        polling.get_by_role("slider", name="Map of the batches").hover(position={"x": 2, "y": 2})
    sizes, answers, passed = {}, 0, 0
    for minutes in MINUTES:
        for _ in range(passed, minutes * 60):
            polling.clock.run_for(1_000)
        passed = minutes * 60
        answers = polling.evaluate("asked.splice(0).length")  # the list is of the test, not of the page
        sizes[minutes] = heap_size(polling)

    _, first, last = sizes.values()  # the first minute still holds the view before
    assert answers >= 50
    assert last.objects < first.objects + answers / 2
    assert last.nodes <= first.nodes + 50
    assert last.listeners <= first.listeners + 20
    figures.save("memory", {view: {minutes: asdict(size) for minutes, size in sizes.items()}})
