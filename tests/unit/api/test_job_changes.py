from collections.abc import Callable

import azure.functions as func
import pytest

from api import jobs
from core.statuses import JobStatus
from tests.support.drive import Stand
from tests.unit.api.support import BASE, body, problem

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

cancel: HttpFunction = jobs.cancel_job._function.get_user_function()
retry: HttpFunction = jobs.retry_job._function.get_user_function()
resume: HttpFunction = jobs.resume_job._function.get_user_function()


def post(job_id: str, verb: str) -> func.HttpRequest:
    return func.HttpRequest(
        method="POST", url=f"{BASE}/jobs/{job_id}/{verb}", route_params={"job_id": job_id}, body=b""
    )


def test_a_job_is_cancelled_and_resumed(it: Stand) -> None:
    job_id = it.submit("hello_world", n=150)
    it.deliver_job_messages()
    answers = [cancel(post(job_id, "cancel"))]
    it.pump()
    answers.append(resume(post(job_id, "resume")))
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [body(answer)["status"] for answer in answers] == ["cancelled", "processing"]
    assert {answer.headers["Location"] for answer in answers} == {f"{BASE}/jobs/{job_id}"}
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED


@pytest.mark.parametrize("function", [cancel, retry, resume], ids=["cancel", "retry", "resume"])
def test_a_job_in_a_wrong_status_is_409_with_the_reason(it: Stand, function: HttpFunction) -> None:
    job_id = it.submit("hello_world", n=1)
    it.pump()
    answer = problem(function(post(job_id, "verb")))
    assert (answer["status"], answer["job_id"], answer["job_status"]) == (409, job_id, "completed")
    assert "only a" in answer["detail"]


@pytest.mark.parametrize("job_id", ["f" * 32, "x"])
@pytest.mark.parametrize("function", [cancel, retry, resume], ids=["cancel", "retry", "resume"])
def test_a_job_that_does_not_exist_is_404(it: Stand, function: HttpFunction, job_id: str) -> None:
    assert problem(function(post(job_id, "verb")))["status"] == 404
