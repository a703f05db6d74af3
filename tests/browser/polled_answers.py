"""Answers to single views of the page, made inside it: what is deleted, refused or slow."""

from typing import Any

from tests.browser.polled_job import CREATED, JOB

LETTER: dict[str, Any] = {
    "dead_letter_id": 1,
    "state": "kept",
    "queue": "sb-tasks",
    "resends": 0,
    "reason": "a reason",
    "body": "a message",
    "received_at": CREATED,
}
TASK: dict[str, Any] = {
    "task_id": f"{JOB['job_id']}-s01-t0000007",
    "task_index": 7,
    "stage": 1,
    "status": "failed",
    "task_type": "survey.plot",
    "batch_id": f"{JOB['job_id']}-s1-b0",
    "parameters": {},
    **dict.fromkeys(("attempt", "sends"), 1),
    **dict.fromkeys(("worker", "started_at", "finished_at", "error", "result", "checkpoint", "progress")),
}
DELETED: dict[str, dict[str, Any]] = {
    f"jobs/{JOB['job_id']}": {"path": f"jobs/{JOB['job_id']}", "body": JOB, "heading": "survey"},
    f"jobs/{JOB['job_id']}/tasks/{TASK['task_id']}": {
        "path": f"jobs/{JOB['job_id']}/tasks/{TASK['task_id']}",
        "body": TASK,
        "heading": "Task 7 of stage 1",
    },
    "queues/1": {"path": "dead-letters/1", "body": LETTER, "heading": "Dead letter 1"},
}
"""Places of the page with what they show, which may be deleted while they are open."""

ANSWERS_OF_ONE = """
    ({ path: known, body, job }) => {
      globalThis.isDeleted = false;
      const bodies = {
        "batch-map": { states: "" }, throughput: { completed: [], failed: [], cancelled: [] },
        events: { events: [] }, failures: { groups: [] },
      };
      globalThis.answer = (path) => {
        if (isDeleted) return { status: 404, body: { detail: "It was deleted." }, headers: {} };
        const last = path.split("/").pop();
        return { status: 200, body: path === known ? body : bodies[last] ?? job, headers: { ETag: '"one"' } };
      };
    }
"""

SLOW_ANSWERS = """
    (job) => {
      let status = job.status;
      let waiting = 0;
      globalThis.seconds = 0;
      globalThis.isRefused = false;
      globalThis.isBusy = () => waiting > 0;
      const [stage] = job.stages;
      const stages = [{ ...stage, tasks: { ...stage.tasks, failed: 1 } }];
      const bodies = {
        jobs: { jobs: [], next: null }, queues: { queues: [] }, "dead-letters": { dead_letters: [], next: null },
        "batch-map": { states: "" }, throughput: { completed: [], failed: [], cancelled: [] }, events: { events: [] },
        failures: { groups: [], next: null, failed_tasks: 1 },
      };
      globalThis.answer = async (path, { method }) => {
        const last = path.split("/").pop();
        if (isRefused && (last === "events" || last === "failures")) {
          return { status: 500, body: { detail: "Not now." }, headers: {} };
        }
        if (method === "POST") status = "cancelled";
        const body = bodies[last] ?? { ...job, status, stages };
        waiting += 1;
        if (seconds && method === "GET") await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
        waiting -= 1;
        return { status: 200, body, headers: {} };
      };
    }
"""
"""A job that can be cancelled, while answers take long or parts of its page are refused."""
