"""What the page holds while each answer is another one; with `make pictures` for an hour of the page's clock."""

import os

import pytest
from playwright.sync_api import Page

from tests.browser.figures import PICTURES, Figures
from tests.browser.polled_job import CHANGING_ANSWERS, JOB
from tests.browser.polled_page import pass_time, times

pytestmark = [pytest.mark.one_worker, pytest.mark.timeout(900)]

MINUTES = (1, 10, 60) if PICTURES in os.environ else (1, 2)
PLACES = {"jobs": "#/jobs", "job": f"#/jobs/{JOB['job_id']}"}
MIB = 2**20


@pytest.mark.parametrize("view", PLACES)
def test_figures_of_a_page_that_polls_for_long_stay_the_same(polling: Page, figures: Figures, view: str) -> None:
    """The clock moves by a second, in which the page asks and draws; nothing waits for real time."""
    polling.evaluate(
        "Error.stackTraceLimit = 0"
    )  # the clock keeps with each timer an error, and that what its frames hold
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate(f"location.hash = '{PLACES[view]}'")
    pass_time(polling, 3_000)
    if view == "job":
        polling.get_by_role("slider", name="Map of the batches").hover(position={"x": 2, "y": 2})
    sizes, passed = {}, 0
    for minutes in MINUTES:
        for _ in range(passed, minutes * 60):
            polling.clock.run_for(1_000)
        passed = minutes * 60
        sizes[minutes] = _size(polling)

    first, *_, last = sizes.values()
    assert len(times(polling)) > passed - 60
    assert last["nodes"] <= first["nodes"] + 50
    assert last["listeners"] <= first["listeners"] + 20
    assert last["heap_mib"] < first["heap_mib"] + 2
    figures.save("memory", {view: sizes})


def _size(page: Page) -> dict[str, float]:
    """What is left after a collection of garbage."""
    page.evaluate("asked = Array(asked.length).fill({ at: 0 })")  # of the test, not of the page
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    for _ in range(3):
        devtools.send("HeapProfiler.collectGarbage")
    found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    devtools.detach()
    return {
        "heap_mib": round(found["JSHeapUsedSize"] / MIB, 2),
        "nodes": int(found["Nodes"]),
        "listeners": int(found["JSEventListeners"]),
    }
