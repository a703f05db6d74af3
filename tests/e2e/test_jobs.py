import httpx
import pytest

from tests.e2e.checks import assert_all_completed, assert_stage_order
from tests.e2e.conftest import RunningApp
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 240

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("n", [1, 99, 100, 101, 1000])
def test_hello_world_completes_with_exact_counts_and_stages_in_order(shared_app: RunningApp, n: int) -> None:
    job_id = shared_app.client.submit("hello_world", {"n": n})

    job = shared_app.client.wait(job_id, TIMEOUT_SECONDS)

    assert job["result"]["greetings"] == job["result"]["replies"] == n
    assert_all_completed(shared_app.client, job_id, [n, n])
    assert_stage_order(shared_app.database_url, job_id)


def test_tasks_are_queued_one_by_one_when_the_job_asks_for_it(shared_app: RunningApp) -> None:
    job_id = shared_app.client.submit("hello_world", {"n": 7, "use_service_bus": False})

    assert shared_app.client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
    assert [batch["task_count"] for batch in shared_app.client.batches(job_id)] == [1] * 14


def test_the_sample_csv_is_loaded_in_more_than_two_batches(shared_app: RunningApp) -> None:
    job_id = shared_app.client.submit("ingest_csv", {"source": "airports.csv", "chunk_bytes": 640})

    job = shared_app.client.wait(job_id, TIMEOUT_SECONDS)

    assert job["status"] == "completed", job["error"]
    assert job["result"]["rows_loaded"] == 3376
    assert job["result"]["rows_rejected"] == 0
    assert len([batch for batch in shared_app.client.batches(job_id) if batch["stage"] == 2]) > 2


def test_a_submission_answers_where_to_look_and_twice_is_once(shared_app: RunningApp) -> None:
    with httpx.Client(base_url=shared_app.host.base_url, trust_env=False, timeout=TIMEOUT_SECONDS) as http:
        first = http.post("/api/jobs/hello_world", json={"n": 3})
        second = http.post("/api/jobs/hello_world", json={"n": 3, "name": "world"})

        assert first.status_code == second.status_code == 202
        assert first.json()["job_id"] == second.json()["job_id"]
        assert (first.json()["created"], second.json()["created"]) == (True, False)
        assert int(first.headers["Retry-After"]) > 0
        assert http.get(first.headers["Location"]).json()["job_type"] == "hello_world"


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "text"),
    [
        ("/api/jobs/hello_world", b'{"n": 0}', {}, 400, "greater than or equal to 1"),
        ("/api/jobs/hello_world", b"not json", {}, 400, "not JSON"),
        ("/api/jobs/ingest_csv", b'{"source": "nowhere.csv"}', {}, 400, "there is no file 'nowhere.csv'"),
        ("/api/jobs/no_such_type", b"{}", {}, 404, "hello_world, ingest_csv"),
        ("/api/jobs/hello_world", b'{"n": 2}', {"Idempotency-Key": "used"}, 409, "idempotency key"),
        ("/api/jobs/hello_world", b" " * (1024 * 1024 + 1), {}, 413, "1,048,576"),
    ],
)
def test_bad_submissions_are_refused_with_a_problem_document(
    shared_app: RunningApp, path: str, content: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    shared_app.client.submit("hello_world", {"n": 1}, key="used")

    response = httpx.post(
        shared_app.host.base_url + path, content=content, headers=headers, trust_env=False, timeout=TIMEOUT_SECONDS
    )

    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert response.json()["status"] == status
    assert text in response.text


def test_health_answers_for_database_migrations_and_broker(shared_app: RunningApp) -> None:
    def ask() -> httpx.Response:
        return httpx.get(shared_app.host.base_url + "/api/health", trust_env=False, timeout=TIMEOUT_SECONDS)

    parts = ("database", "connections", "migrations", "broker", "outages")
    # An app that is still being built does not answer, and on a busy machine a part takes too long.
    wait_until(lambda: ask().json()["checks"] == dict.fromkeys(parts, "ok"))
    assert ask().headers["Content-Type"].startswith("application/json")
