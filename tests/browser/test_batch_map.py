"""What the map of a running job tells while its batches change."""

import pytest
from playwright.sync_api import Page

from tests.browser.polled_job import CHANGING_ANSWERS, JOB
from tests.browser.polled_page import STEP, pass_time

pytestmark = pytest.mark.one_worker

OTHERS_CHANGE = """
    (seconds) => {
      const changing = answer;
      let turn = 0;
      globalThis.answer = async (path) => {
        const found = changing(path);
        const states = () => `b${"bc"[turn % 2].repeat(99)}`;
        if (path.endsWith("/batch-map")) [turn, found.body.states] = [turn + 1, states()];
        if (path.endsWith("/batches")) found.body.batches[1].task_count = turn % 2 ? 1_000 : 2_000;
        if (path.endsWith("/batches") && seconds) await new Promise((done) => setTimeout(done, seconds * 1_000));
        return found;
      };
    }
"""


@pytest.mark.parametrize("seconds", [0, 0.4, 2.5])
def test_the_counts_of_a_batch_stay_while_other_batches_change(polling: Page, seconds: float) -> None:
    """Also when the app takes longer for them than until the next change."""
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate(OTHERS_CHANGE, seconds)
    polling.evaluate(f"location.hash = '#/jobs/{JOB['job_id']}'")
    pass_time(polling, 3_000)
    polling.get_by_role("slider", name="Map of the batches").hover(position={"x": 2, "y": 2})
    pass_time(polling, 5_000)
    told = polling.locator(".map-told")
    for _ in range(20):
        assert "Batch 0: running, " in told.inner_text()
        pass_time(polling, STEP)


def test_the_counts_of_a_batch_never_contradict_its_state(polling: Page) -> None:
    """Those of a running batch are of 1,000 tasks here, those of the completed one of 2,000."""
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate(OTHERS_CHANGE, 0.4)
    polling.evaluate(f"location.hash = '#/jobs/{JOB['job_id']}'")
    pass_time(polling, 3_000)
    polling.get_by_role("slider", name="Map of the batches").hover(position={"x": 20, "y": 2})
    seen = set()
    for _ in range(200):
        polling.clock.run_for(100)
        text = polling.locator(".map-told").inner_text()
        seen.add((text.split(",")[0], "of 1,000" in text, "of 2,000" in text))
    states = {"Batch 1: running": (True, False), "Batch 1: completed": (False, True)}
    assert seen == {(state, *shown) for state, counts in states.items() for shown in (counts, (False, False))}


def test_counts_that_were_refused_are_asked_for_again_at_the_next_batch(polling: Page) -> None:
    polling.evaluate(CHANGING_ANSWERS, JOB)
    polling.evaluate("""
        () => {
          const changing = answer;
          globalThis.isRefused = true;
          globalThis.answer = (path) => {
            const found = changing(path);
            if (path.endsWith("/batch-map")) found.body.states = "c".repeat(100);
            return path.endsWith("/batches") && isRefused ? { status: 503, body: {}, headers: {} } : found;
          };
        }
    """)
    polling.evaluate(f"location.hash = '#/jobs/{JOB['job_id']}'")
    pass_time(polling, 3_000)
    batches = polling.get_by_role("slider", name="Map of the batches")
    batches.hover(position={"x": 2, "y": 2})
    pass_time(polling, 1_000)
    told = polling.locator(".map-told")
    assert "tasks" not in told.inner_text()
    polling.evaluate("isRefused = false")
    polling.mouse.move(0, 0)
    pass_time(polling, 500)
    batches.hover(position={"x": 2, "y": 2})
    pass_time(polling, 1_000)
    assert "tasks" in told.inner_text()
