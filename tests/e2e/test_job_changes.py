"""Jobs are cancelled, resumed and retried over HTTP."""

import time
from pathlib import Path

import pytest

from local.jobs_client import JobRequestError
from local.postgres import EmbeddedPostgres
from tests.e2e.checks import assert_all_completed
from tests.e2e.conftest import RunningApp, running, wait_for

N = 5_000
TIMEOUT_SECONDS = 280


@pytest.mark.timeout(600)
def test_a_job_is_cancelled_in_the_middle_and_resumed_to_its_end(shared_app: RunningApp) -> None:
    client = shared_app.client
    job_id = client.submit("hello_world", {"n": N})
    wait_for(shared_app, job_id, lambda job: job["stages"][0]["tasks"]["completed"] > 0)

    assert client.order(job_id, "cancel") == "cancelled"
    tasks = settled_tasks(shared_app, job_id)
    assert tasks["cancelled"] > 0
    assert tasks["completed"] + tasks["cancelled"] == tasks["created"]
    with pytest.raises(JobRequestError, match=r"409.*only a job that failed or completed with errors can be retried"):
        client.order(job_id, "retry")

    assert client.order(job_id, "resume") == "processing"
    client.wait(job_id, TIMEOUT_SECONDS)
    assert_all_completed(client, job_id, [N, N])


@pytest.mark.timeout(600)
def test_a_job_whose_source_was_missing_is_retried_when_it_is_there(
    postgres: EmbeddedPostgres, e2e_config: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    log_file = tmp_path / "functions.log"
    with running(postgres.url("retried"), e2e_config, log_file, DATA_DIR=str(data)) as app:
        job_id = app.client.submit("ingest_csv", {"source": "late.csv"})
        assert app.client.wait(job_id, TIMEOUT_SECONDS)["status"] == "failed"
        (data / "late.csv").write_text("name,height\nKilimanjaro,5895\nMeru,4562\n")
        assert app.client.order(job_id, "retry") == "processing"
        job = app.client.wait(job_id, TIMEOUT_SECONDS)
    assert (job["status"], job["error"]) == ("completed", None)


def settled_tasks(app: RunningApp, job_id: str) -> dict[str, int]:
    """Waits until every task of stage 1 has ended; returns how many have each status."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        tasks: dict[str, int] = app.client.job(job_id)["stages"][0]["tasks"]
        if not any(tasks[status] for status in ("pending_queue", "queued", "processing", "retrying")):
            return tasks
        assert time.monotonic() < deadline, tasks
        time.sleep(0.2)
