"""A job of 10,000 batches of which each answer is another, made inside the page."""

from typing import Any

CREATED = "2026-12-01T00:00:00Z"
_COUNTS = ("pending_queue", "processing", "retrying", "completed", "failed", "cancelled")
JOB: dict[str, Any] = {
    "job_id": "a" * 32,
    "job_type": "survey",
    "status": "processing",
    "urgent": False,
    "parameters": {},
    "stage": 1,
    "stage_name": "plots",
    "total_stages": 1,
    "progress": 0.5,
    "tasks_per_second": 1,
    "eta_seconds": 1,
    **dict.fromkeys(("waits_for", "result", "error", "warning", "finished_at")),
    "created_at": CREATED,
    "started_at": CREATED,
    "stages": [
        {
            "stage": 1,
            "name": "plots",
            "status": "running",
            "waits_for_room": False,
            "tasks_per_second": 1,
            "total_tasks": 9,
            "total_batches": 9,
            "batches": 9,
            "batches_queued": 9,
            "created_at": CREATED,
            "finished_at": None,
            "tasks": {"created": 9, "queued": 9, **dict.fromkeys(_COUNTS, 0)},
        }
    ],
}
CHANGING_JOB = """
    (job) => {
      let turn = 0;
      const counts = () => Array.from({ length: 120 }, (_, index) => index + (turn % 50));
      const bodies = {
        "batch-map": () => ({ stage: 1, states: "qbc"[turn % 3].repeat(10_000) }),
        throughput: () => ({
          first_at: job.created_at, bucket_seconds: 1, completed: counts(), failed: counts(), cancelled: counts(),
        }),
        events: () => ({ events: [], next: null, since: 0 }),
      };
      globalThis.answer = (path) => {
        turn += 1;
        const body = bodies[path.split("/").pop()] ?? (() => ({ ...job, progress: turn / 10_000 }));
        return { status: 200, body: body(), headers: {} };
      };
    }
"""
