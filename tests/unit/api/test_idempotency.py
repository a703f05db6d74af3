"""An Idempotency-Key belongs to a job type, and to a caller where the platform names one."""

import json
from collections.abc import Callable, Iterator

import azure.functions as func
import pytest

from api import jobs
from controllers.hello_world import HelloWorld
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import body, post, problem

submit: Callable[[func.HttpRequest], func.HttpResponse] = jobs.submit_job._function.get_user_function()

CALLER = "X-MS-CLIENT-PRINCIPAL-ID"


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, sample_job(counted(1))) as it:
        monkeypatch.setattr(jobs, "app", lambda: it.app)
        yield it


def keyed(job_type: str, parameters: dict[str, object], **headers: str) -> func.HttpRequest:
    given = dict(headers)
    return post(job_type, parameters, {"Idempotency-Key": "monday", **given})


def test_the_same_key_with_another_job_type_is_another_job(it: Stand) -> None:
    first = submit(keyed("hello_world", {"n": 3}))
    second = submit(keyed("sample", {}))
    assert (first.status_code, second.status_code) == (202, 202)
    assert body(first)["job_id"] != body(second)["job_id"]
    assert body(second)["created"] is True


@pytest.mark.usefixtures("it")
def test_the_same_key_of_another_caller_is_another_job() -> None:
    answers = [
        body(submit(keyed("hello_world", {"n": n}, **headers)))
        for n, headers in enumerate([{}, {CALLER: "ann"}, {CALLER: "bob"}], 1)
    ]
    assert [each["created"] for each in answers] == [True, True, True]
    assert len({each["job_id"] for each in answers}) == 3
    again = body(submit(keyed("hello_world", {"n": 2}, **{CALLER.lower(): "ann"})))
    assert (again["created"], again["job_id"]) == (False, answers[1]["job_id"])


@pytest.mark.usefixtures("it")
def test_a_conflict_does_not_name_the_job_that_has_the_key() -> None:
    first = body(submit(keyed("hello_world", {"n": 3})))
    answer = problem(submit(keyed("hello_world", {"n": 4})))
    assert (answer["status"], answer["title"]) == (409, "Idempotency key in use")
    assert "job_id" not in answer
    assert first["job_id"] not in json.dumps(answer)


@pytest.mark.usefixtures("it")
def test_callers_share_the_job_of_equal_parameters_without_a_key() -> None:
    first = body(submit(post("hello_world", {"n": 3}, {CALLER: "ann"})))
    second = body(submit(post("hello_world", {"n": 3}, {CALLER: "bob"})))
    assert first["job_id"] == second["job_id"]
