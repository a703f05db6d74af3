"""PostgreSQL, then the broker cannot be reached, each for several message locks: all jobs complete by themselves."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.e2e.checks import assert_all_completed
from tests.e2e.conftest import RunningApp, running, wait_for
from tests.support.stoppable import StoppablePostgres

N = 3_000
TIMEOUT_SECONDS = 500
AWAY_SECONDS = 20
"""Four locks, five leases."""


@pytest.fixture
def server() -> Iterator[StoppablePostgres]:
    with StoppablePostgres.running() as server:
        yield server


@pytest.fixture
def app(server: StoppablePostgres, e2e_config: Path, tmp_path: Path) -> Iterator[RunningApp]:
    with running(server.url, e2e_config, tmp_path / "functions.log", SWEEP_AGE_SECONDS="5") as app:
        yield app


@pytest.mark.timeout(1_200)
def test_jobs_outlive_both_outages_and_no_message_uses_up_its_deliveries(
    app: RunningApp, server: StoppablePostgres
) -> None:
    job_id = app.client.submit("hello_world", {"n": N})
    wait_for(app, job_id, lambda job: job["stages"][0]["batches_queued"] >= 5)
    server.stop()
    refused = {status_during(app.host.base_url, job_id) for _ in range(3)}
    time.sleep(AWAY_SECONDS)
    refused.add(status_during(app.host.base_url, job_id))
    server.start()
    wait_for(app, job_id, lambda job: job["stage"] == 2 and job["stages"][1]["tasks"]["completed"] > 100)

    app.broker.control.restart(seconds=None)
    second_id = app.client.submit("hello_world", {"n": 100})
    pending = app.client.job(second_id)["status"]
    time.sleep(AWAY_SECONDS)
    app.broker.control.resume()

    for each, n in ((job_id, N), (second_id, 100)):
        app.client.wait(each, TIMEOUT_SECONDS)
        assert_all_completed(app.client, each, [n, n])
    assert refused == {503}
    assert pending == "pending_queue"
    assert {counts.dead_letter for counts in app.broker.queues()} == {0}
    assert spent(server.url) == (0, 0, 0)


def status_during(base_url: str, job_id: str) -> int:
    """The API's answer while the database is unavailable, on a connection of its own."""
    with httpx.Client(base_url=base_url, timeout=120, trust_env=False) as http:
        return http.get(f"/api/jobs/{job_id}").status_code


def spent(database_url: str) -> tuple[int, ...]:
    """The most dead letters and failures of any task, and the number of messages that are kept."""
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT max(dead_letters), max(failures), (SELECT count(*) FROM dead_letters)::int FROM tasks")
        row = cursor.fetchone()
        assert row is not None
        return tuple(row)
