"""Jobs are cancelled, resumed and retried over HTTP."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import psycopg2
import pytest

from local.jobs_client import JobRequestError
from tests.e2e.checks import assert_all_completed
from tests.e2e.conftest import RunningApp, wait_for
from tests.support.settling import are_settled
from tests.support.waiting import wait_until

N = 5_000
TIMEOUT_SECONDS = 500

_HOLD = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.status := 'retrying';
        NEW.not_before := now() + interval '1 hour';
        RETURN NEW;
    END $$;

    CREATE TRIGGER hold BEFORE INSERT ON tasks FOR EACH ROW
    WHEN (NEW.parameters ->> 'name' = %(name)s AND NEW.task_index = %(index)s) EXECUTE FUNCTION hold();
"""


@pytest.mark.timeout(1_200)
def test_a_job_is_cancelled_in_the_middle_and_resumed_to_its_end(shared_app: RunningApp) -> None:
    client = shared_app.client
    with last_greeting_held(shared_app, "held"):
        job_id = client.submit("hello_world", {"n": N, "name": "held"})
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


@pytest.mark.timeout(1_200)
def test_a_job_whose_table_refused_its_rows_is_retried_when_it_takes_them(shared_app: RunningApp) -> None:
    columns = "name text, iata text, city text, state text, country text, longitude numeric"
    _execute(shared_app, f"CREATE TABLE high_airports ({columns}, latitude numeric CHECK (latitude > 80))")
    given = {"source": "airports.csv", "table": "high_airports", "mode": "append"}
    job_id = shared_app.client.submit("ingest_csv", given)
    job = shared_app.client.wait(job_id, TIMEOUT_SECONDS)
    assert job["status"] == "failed"
    assert "the table refuses the rows" in job["error"]["message"]

    _execute(shared_app, "ALTER TABLE high_airports DROP CONSTRAINT high_airports_latitude_check")
    wait_until(lambda: are_settled(shared_app.client.batches(job_id)), TIMEOUT_SECONDS)
    assert shared_app.client.order(job_id, "retry") == "processing"
    job = shared_app.client.wait(job_id, TIMEOUT_SECONDS)
    assert (job["status"], job["error"], job["result"]["rows_loaded"]) == ("completed", None, 3376)


@contextmanager
def last_greeting_held(app: RunningApp, name: str) -> Iterator[None]:
    """The last task of stage 1 waits for an hour as if it had failed: the stage does not end before a test looks."""
    app.client.wait(app.client.submit("hello_world", {"n": 1}), TIMEOUT_SECONDS)  # the app has migrated its database
    _execute(app, _HOLD, {"name": name, "index": N - 1})
    try:
        yield
    finally:
        _execute(app, "DROP TRIGGER hold ON tasks; DROP FUNCTION hold()")


def _execute(app: RunningApp, statements: str, values: Mapping[str, object] | None = None) -> None:
    with closing(psycopg2.connect(app.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statements, values)


def settled_tasks(app: RunningApp, job_id: str) -> dict[str, int]:
    """Waits until every task of stage 1 has ended; returns how many have each status."""
    wait_until(lambda: are_settled(app.client.batches(job_id)), TIMEOUT_SECONDS)
    tasks: dict[str, int] = app.client.job(job_id)["stages"][0]["tasks"]
    return tasks
