"""Jobs are cancelled, resumed and retried over HTTP."""

import time
from contextlib import closing

import psycopg2
import pytest

from local.jobs_client import JobRequestError
from tests.e2e.checks import assert_all_completed
from tests.e2e.conftest import RunningApp, wait_for

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
def test_a_job_whose_table_refused_its_rows_is_retried_when_it_takes_them(shared_app: RunningApp) -> None:
    with closing(psycopg2.connect(shared_app.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE high_airports (name text, latitude numeric CHECK (latitude > 80))")
        cursor.execute("ALTER TABLE high_airports ADD iata text, ADD city text, ADD state text, ADD country text, "
                       "ADD longitude numeric")  # fmt: skip
    given = {"source": "airports.csv", "table": "high_airports", "mode": "append"}
    job_id = shared_app.client.submit("ingest_csv", given)
    job = shared_app.client.wait(job_id, TIMEOUT_SECONDS)
    assert job["status"] == "failed"
    assert "the table refuses the rows" in job["error"]["message"]

    with closing(psycopg2.connect(shared_app.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE high_airports DROP CONSTRAINT high_airports_latitude_check")
    assert shared_app.client.order(job_id, "retry") == "processing"
    job = shared_app.client.wait(job_id, TIMEOUT_SECONDS)
    assert (job["status"], job["error"], job["result"]["rows_loaded"]) == ("completed", None, 3376)


def settled_tasks(app: RunningApp, job_id: str) -> dict[str, int]:
    """Waits until every task of stage 1 has ended; returns how many have each status."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        tasks: dict[str, int] = app.client.job(job_id)["stages"][0]["tasks"]
        if not any(tasks[status] for status in ("pending_queue", "queued", "processing", "retrying")):
            return tasks
        assert time.monotonic() < deadline, tasks
        time.sleep(0.2)
