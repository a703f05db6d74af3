"""Texts without a place to break: job types, messages, ids and errors may be as long as somebody writes them."""

from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize

from tests.browser.polled_answers import LETTER, TASK
from tests.browser.polled_job import CREATED, JOB
from tests.browser.polled_page import pass_time

pytestmark = pytest.mark.one_worker

LONG = "a_word_that_never_ends_" * 10
MARKUP = f"<img src=x onerror=alert(1)>{LONG}"
STAGE = JOB["stages"][0]
ERROR = {"type": LONG, "message": MARKUP, "traceback": MARKUP}
FAILED = {**STAGE, "name": LONG, "tasks": {**STAGE["tasks"], "failed": 1}}
LONG_JOB = {
    **JOB,
    "job_type": LONG,
    "stage_name": LONG,
    "error": ERROR,
    "warning": ERROR,
    "parameters": {"a": MARKUP},
    "waits_for": {"start_at": None, "after": [], "exclusive_key": LONG, "key_holder": None},
    "stages": [FAILED],
    "failed_tasks": 1,
    "progress_notes": [{"task_id": TASK["task_id"], "progress": 0.5, "progress_note": LONG, "progress_at": CREATED}],
}
LONG_TASK = {**TASK, "task_type": LONG, "error": ERROR, "errors": [ERROR], "worker": LONG, "parameters": {"a": MARKUP}}
LONG_LETTER = {**LETTER, "message_id": LONG, "reason": LONG, "description": MARKUP, "body": MARKUP, "queue": LONG[:50]}
EVENT = {"event_id": 1, "kind": "dead_letter", "subject": MARKUP, "times": 1, "details": {}, "at": CREATED, "stage": 1}
GROUP = {"error": "0f", "type": LONG, "message": MARKUP, "tasks": 1_000_000, "example_task_id": TASK["task_id"]}
QUEUE: dict[str, Any] = {"queue": LONG[:50], "reason": MARKUP, "oldest_waiting_seconds": 1}
COUNTS = dict.fromkeys(("active", "scheduled", "dead_lettered"), 1_000_000)
FIELD = {"type": "string", "description": MARKUP}
TYPES = [{"name": LONG, "description": MARKUP, "parameters": {"properties": {LONG: FIELD}}}]
BODIES: dict[str, Any] = {
    "jobs": {"jobs": [LONG_JOB], "next": None},
    "batch-map": {"states": "f"},
    "throughput": {"completed": [], "failed": [], "cancelled": []},
    "events": {"events": [{**EVENT, "last_at": CREATED}]},
    "failures": {"groups": [GROUP], "next": None, "failed_tasks": 1},
    "tasks": {"tasks": [LONG_TASK], "next": None},
    "queues": {"queues": [{**QUEUE, **COUNTS}]},
    "dead-letters": {"dead_letters": [LONG_LETTER], "next": None},
    JOB["job_id"]: LONG_JOB,
    TASK["task_id"]: LONG_TASK,
    "1": LONG_LETTER,
}
JOB_PLACE = f"jobs/{JOB['job_id']}"
PLACES = (
    *("jobs", JOB_PLACE, f"{JOB_PLACE}/batches/{JOB['job_id']}-s1-b0", f"{JOB_PLACE}/tasks/{TASK['task_id']}"),
    *("queues", "queues/1", f"submit/{LONG}"),
)
TOO_WIDE = """
    () => [document.documentElement, ...document.querySelectorAll("main, main *, dialog, dialog *")]
      .filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
      .map((each) => `${each.tagName} ${each.className}: ${each.scrollWidth} in ${each.clientWidth}`)
"""


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_long_texts_are_broken_and_shown_as_texts(polling: Page, width: int) -> None:
    polling.set_viewport_size(ViewportSize(width=width, height=800))
    polling.evaluate(
        """([bodies, types]) => {
          jobTypes = types;
          answer = (path) => ({ status: 200, body: bodies[path.split("/").pop()], headers: {} });
        }""",
        [BODIES, TYPES],
    )
    wide = {}
    for place in PLACES:
        polling.evaluate("(place) => { location.hash = place; }", f"#/{place}")
        pass_time(polling, 3_000)
        assert "a_word_that_never_ends" in polling.get_by_role("main").inner_text()
        if place == JOB_PLACE:
            polling.get_by_text("Parameters", exact=True).click()
        wide[place] = polling.evaluate(TOO_WIDE)
        assert polling.locator("img").count() == 0
    assert {place: found for place, found in wide.items() if found} == {}
