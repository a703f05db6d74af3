"""`POST /api/jobs/{job_id}/retry` with a body."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import azure.functions as func
import pytest

from api import jobs
from api.retry_parts import RETRY_BODY
from controllers.base import StageSpec
from controllers.context import TaskContext
from core.error_groups import group_of
from core.errors import PermanentTaskError
from core.ids import batch_id, task_id
from core.retry_parts import MAX_TASKS
from core.statuses import JobStatus
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import BASE, body, problem

retry: Callable[[func.HttpRequest], func.HttpResponse] = jobs.retry_job._function.get_user_function()
GROUP = group_of("PermanentTaskError", "no").id
SCHEMA = RETRY_BODY["content"]["application/json"]["schema"]["properties"]


class Broken:
    def __init__(self) -> None:
        self.is_broken = True
        self.runs: list[int] = []

    def __call__(self, context: TaskContext, parameters: Mapping[str, Any]) -> None:
        self.runs.append(context.task_index)
        if self.is_broken and context.task_index in {1, 2}:
            raise PermanentTaskError("no" if context.task_index == 1 else "another reason")


@pytest.fixture
def handler() -> Broken:
    return Broken()


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch, handler: Broken) -> Iterator[Stand]:
    stages = (StageSpec("only", max_failed_fraction=1.0),)
    with stand(sample_job(counted(3), handler, stages=stages), max_request_bytes=60_000) as it:
        monkeypatch.setattr(jobs, "app", lambda: it.app)
        yield it


@pytest.fixture
def job_id(it: Stand, handler: Broken) -> str:
    job_id = it.submit("sample")
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED_WITH_ERRORS
    handler.is_broken = False
    handler.runs.clear()
    return job_id


def post(job_id: str, part: Any) -> func.HttpRequest:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return func.HttpRequest("POST", f"{BASE}/jobs/{job_id}/retry", route_params={"job_id": job_id}, body=data)


@pytest.mark.parametrize(
    ("part", "runs"),
    [
        (lambda job_id: b"", [1, 2]),
        (lambda job_id: {}, [1, 2]),
        (lambda job_id: {"batch_id": batch_id(job_id, 1, 0)}, [1, 2]),
        (lambda job_id: {"task_ids": [task_id(job_id, 1, 2)] * 2}, [2]),
        (lambda job_id: {"error": GROUP}, [1]),
    ],
    ids=["no body", "nothing", "batch", "tasks", "error"],
)
def test_what_the_body_names_runs_again(
    it: Stand, job_id: str, handler: Broken, part: Callable[[str], Any], runs: list[int]
) -> None:
    answer = retry(post(job_id, part(job_id)))
    assert (answer.status_code, body(answer)["status"]) == (202, "processing")
    assert answer.headers["Location"] == f"{BASE}/jobs/{job_id}"
    it.pump()
    assert handler.runs == runs


@pytest.mark.parametrize(
    ("part", "status", "why"),
    [
        (b"{", 400, "the body is not JSON"),
        ([], 400, "the body must be a JSON object"),
        ({"batch": "x"}, 400, "batch is not known"),
        ({"batch_id": None}, 400, "batch_id must be the id of a batch"),
        ({"batch_id": "0" * 32 + "-s1-b0\n"}, 400, "batch_id must be the id of a batch"),
        ({"batch_id": "0" * 32 + "-s1-b0"}, 400, "is no batch of this job"),
        ({"task_ids": []}, 400, "task_ids must be a list of 1 to 1,000 task ids"),
        ({"task_ids": "x"}, 400, "task_ids must be a list"),
        ({"task_ids": [1]}, 400, "task_ids must be ids of tasks"),
        ({"task_ids": [task_id("0" * 32, 1, index) for index in range(MAX_TASKS + 1)]}, 400, "1 to 1,000"),
        ({"task_ids": [task_id("0" * 32, 1, index) for index in range(20)]}, 400, "10 more are no failed tasks"),
        ({"error": "x"}, 400, "error must be the id of an error group"),
        ({"error": "0" * 16}, 400, "no failed task has an error of this group"),
        ({"error": GROUP, "task_ids": []}, 400, "only one of error, task_ids can be given"),
        ({"error": " " * 60_000}, 413, "at most 60,000"),
    ],
)
def test_a_body_that_names_no_part_of_the_job_is_refused(
    it: Stand, job_id: str, part: Any, status: int, why: str
) -> None:
    before = it.job(job_id)
    answer = problem(retry(post(job_id, part)))
    assert answer["status"] == status
    assert why in answer["detail"]
    assert it.job(job_id) == before


@pytest.mark.parametrize("name", ["batch_id", "task_ids", "error"])
def test_a_part_in_the_query_is_refused(it: Stand, job_id: str, name: str) -> None:
    before, url = it.job(job_id), f"{BASE}/jobs/{job_id}/retry"
    answer = problem(
        retry(func.HttpRequest("POST", url, params={name: "x"}, route_params={"job_id": job_id}, body=b""))
    )
    assert (answer["status"], answer["errors"][0]["field"]) == (400, name)
    assert it.job(job_id) == before


def test_a_task_that_has_not_failed_is_named(it: Stand, job_id: str) -> None:
    ids = [task_id(job_id, 1, index) for index in range(3)]
    answer = problem(retry(post(job_id, {"task_ids": ids})))
    message = f"{ids[0]} is completed: only failed tasks can be retried"
    assert answer["errors"] == [{"field": "task_ids", "message": message}]


def test_a_part_of_a_job_that_runs_is_refused_like_the_whole_of_it(it: Stand, job_id: str) -> None:
    retry(post(job_id, {"error": GROUP}))
    answer = problem(retry(post(job_id, {"error": GROUP})))
    assert (answer["status"], answer["job_status"]) == (409, "processing")


def test_ids_are_described_as_they_are_made(job_id: str) -> None:
    assert re.search(SCHEMA["batch_id"]["pattern"], batch_id(job_id, 99, 1_234_567))
    assert re.search(SCHEMA["task_ids"]["items"]["pattern"], task_id(job_id, 99, 1_234_567))
    assert re.search(SCHEMA["error"]["pattern"], GROUP)
