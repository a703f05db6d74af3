"""A list of jobs, and a job of 10,000 batches, of which each answer is another, made inside the page."""

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
    "progress_notes": [],
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
            "tasks": {"created": 9, "queued": 9, "estimated": False, **dict.fromkeys(_COUNTS, 0)},
        }
    ],
}

CHANGING_ANSWERS = """
    (job) => {
      let turn = 0;
      const last = (path) => path.split("/").pop();
      const range = (length, make) => Array.from({ length }, (_, index) => make(index));
      const counts = () => range(120, (index) => index + (turn % 50));
      const id = (number) => number.toString(16).padStart(32, "0");
      const bodies = {
        jobs: () => ({
          jobs: range(50, (index) => ({
            ...job, job_id: id(turn + 50 - index), progress: (turn % 100) / 100, failed_tasks: turn % (index + 1),
          })),
          next: `${turn}`,
        }),
        "batch-map": () => ({ stage: 1, states: "qbcf"[turn % 4].repeat(10_000) }),
        batches: () => ({
          batches: range(100, (index) => ({
            batch_index: index, stage: 1, task_count: 100, open_tasks: turn % 90, failed_tasks: 1, cancelled_tasks: 0,
            send_attempts: 1, created_at: job.created_at, queued_at: job.created_at, finished_at: null,
          })),
          next: null,
        }),
        throughput: () => ({
          first_at: job.created_at, bucket_seconds: 1, completed: counts(), failed: counts(), cancelled: counts(),
        }),
        failures: () => ({
          failed_tasks: turn, read_tasks: 5, next: `${turn}`,
          groups: range(5, (index) => ({
            error: id(turn + index), type: "Error", message: `cause ${turn}`, tasks: turn, example_task_id: id(turn),
          })),
        }),
        events: () => ({
          events: range(300, (index) => ({
            event_id: turn + index, kind: "repaired", subject: `batch ${turn}`, times: turn, details: {}, stage: 1,
            at: job.created_at, last_at: job.created_at,
          })),
          next: null, since: turn,
        }),
      };
      const changed = () => {
        const [stage] = job.stages;
        return { ...job, progress: turn / 10_000, stages: [{ ...stage, tasks: { ...stage.tasks, failed: turn } }] };
      };
      globalThis.answer = (path) => {
        turn += 1;
        return { status: 200, body: (bodies[last(path)] ?? changed)(), headers: {} };
      };
    }
"""
"""Each answer differs in all that its view shows: rows come and go, and keep nothing but their number."""
