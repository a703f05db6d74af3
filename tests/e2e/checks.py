"""Assertions on every job that has completed."""

from collections import Counter

import psycopg2

from local.jobs_client import JobsClient


def assert_all_completed(client: JobsClient, job_id: str, tasks_per_stage: list[int]) -> None:
    """Every task completed, batches full but the last, counters equal to counts of tasks, stages in order."""
    job = client.job(job_id)
    assert job["status"] == "completed", job["error"]
    assert job["progress"] == 1
    tasks = client.tasks(job_id)
    assert Counter(task["stage"] for task in tasks) == Counter(dict(enumerate(tasks_per_stage, start=1)))
    assert {task["status"] for task in tasks} == {"completed"}
    in_batch = Counter(task["batch_id"] for task in tasks)
    batches = client.batches(job_id)
    assert {batch["batch_id"]: batch["task_count"] for batch in batches} == in_batch
    assert {(batch["status"], batch["open_tasks"], batch["failed_tasks"]) for batch in batches} == {("finished", 0, 0)}
    for stage, expected in zip(job["stages"], tasks_per_stage, strict=True):
        counts = [batch["task_count"] for batch in batches if batch["stage"] == stage["stage"]]
        full, rest = divmod(expected, 100)
        assert counts == [100] * full + [rest] * (rest > 0)
        assert stage["status"] == "finished"
        assert (stage["total_tasks"], stage["total_batches"]) == (expected, len(counts))
        assert stage["tasks"]["completed"] == expected
    for earlier, later in zip(job["stages"], job["stages"][1:], strict=False):
        assert earlier["finished_at"] <= later["created_at"]


def assert_stage_order(database_url: str, job_id: str) -> None:
    """No task of a stage began before every task of the stage before had ended."""
    query = """
        WITH spans AS (
            SELECT stage, min(started_at) AS began, max(finished_at) AS ended
            FROM tasks WHERE parent_job_id = %(job_id)s GROUP BY stage
        )
        SELECT count(*) FROM spans AS earlier JOIN spans AS later ON later.stage = earlier.stage + 1
        WHERE later.began < earlier.ended
    """
    conn = psycopg2.connect(database_url)
    try:
        with conn.cursor() as cursor:
            cursor.execute(query, {"job_id": job_id})
            assert cursor.fetchone() == (0,)
    finally:
        conn.close()
