import json
from collections.abc import Callable, Iterator

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import tasks
from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from core.statuses import TaskStatus
from core.task_runs import TaskOutcome
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import BASE, body, problem

get_task: Callable[[func.HttpRequest], func.HttpResponse] = tasks.get_task._function.get_user_function()
SECRET = "pssst-secret"


class Parameters(lockstep.JobParameters):
    token: SecretStr = SecretStr(SECRET)


class Sample(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
    Parameters = Parameters


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, Sample) as it:
        monkeypatch.setattr(tasks, "app", lambda: it.app)
        yield it


def get(job_id: str, task_id: str) -> func.HttpResponse:
    route = {"job_id": job_id, "task_id": task_id}
    return get_task(func.HttpRequest("GET", f"{BASE}/jobs/{job_id}/tasks/{task_id}", route_params=route, body=b""))


def failed_once(it: Stand, job_type: str) -> tuple[str, str]:
    """A job whose first task has a checkpoint, and a failed attempt; both hold a secret."""
    job_id = it.submit(job_type, **({"n": 1} if job_type == "hello_world" else {}))
    it.deliver_job_messages()
    task_id = f"{job_id}-s01-t0000000"
    error = json.dumps({"type": "OSError", "message": f"{SECRET} is wrong"})
    with it.database.transaction() as work:
        assert work.tasks.claim([task_id], "lease", 50, "host 7")
        assert work.tasks.write_checkpoint(task_id, "lease", json.dumps({"row": 5, "with": SECRET}))
        work.tasks.record("lease", [TaskOutcome(task_id, TaskStatus.RETRYING, error=error, retry_delay_seconds=5)])
    return job_id, task_id


def test_a_task_is_shown_with_all_that_is_kept_of_it(it: Stand) -> None:
    job_id, task_id = failed_once(it, "hello_world")
    response = get(job_id, task_id)
    assert response.status_code == 200
    at = "2030-01-01T00:00:00+00:00"
    assert body(response) == {
        "task_id": task_id,
        "parent_job_id": job_id,
        "task_type": "hello_world.greet",
        "stage": 1,
        "task_index": 0,
        "batch_id": f"{job_id}-s1-b0",
        "status": "retrying",
        "parameters": {"name": "world"},
        "result": None,
        "checkpoint": {"row": 5, "with": SECRET},
        "error": {"type": "OSError", "message": f"{SECRET} is wrong"},
        "errors": [{"attempt": 1, "at": at, "type": "OSError", "message": f"{SECRET} is wrong"}],
        "attempt": 1,
        "failures": 1,
        "sends": 2,
        "lease_expires_at": None,
        "not_before": "2030-01-01T00:00:05+00:00",
        "created_at": at,
        "started_at": at,
        "finished_at": None,
        "worker": "host 7",
        "progress": None,
        "progress_note": None,
    }


def test_a_completed_task_is_shown_with_its_result_and_no_checkpoint(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.pump()
    task = body(get(job_id, f"{job_id}-s02-t0000000"))
    assert (task["status"], task["checkpoint"]) == ("completed", None)
    assert task["result"] is not None


def test_a_task_is_shown_without_the_secrets_of_its_job(it: Stand) -> None:
    job_id, task_id = failed_once(it, "sample")
    task = body(get(job_id, task_id))
    assert task["checkpoint"] == {"row": 5, "with": "***"}
    assert task["errors"][0]["message"] == task["error"]["message"] == "*** is wrong"


def test_a_checkpoint_is_not_shown_where_the_secrets_are_unknown(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, task_id = failed_once(it, "sample")
    with second_process(it, HelloWorld) as other:
        monkeypatch.setattr(tasks, "app", lambda: other.app)
        assert body(get(job_id, task_id))["checkpoint"] == "***"


def test_a_job_that_does_not_exist_is_404(it: Stand) -> None:
    job_id, _ = failed_once(it, "hello_world")
    answer = problem(get("f" * 32, f"{job_id}-s01-t0000000"))
    assert (answer["status"], answer["title"], answer["job_id"]) == (404, "No such job", "f" * 32)


@pytest.mark.parametrize("task", ["-s01-t0000001", "-s09-t0000000", "", "-x", "'; DROP TABLE tasks", "\x00"])
def test_a_task_that_does_not_exist_is_404(it: Stand, task: str) -> None:
    job_id, _ = failed_once(it, "hello_world")
    answer = problem(get(job_id, job_id + task))
    assert (answer["status"], answer["title"], answer["job_id"]) == (404, "No such task", job_id)


def test_a_task_of_another_job_is_404(it: Stand) -> None:
    job_id, _ = failed_once(it, "hello_world")
    _, other = failed_once(it, "sample")
    assert problem(get(job_id, other))["title"] == "No such task"
