"""`?start_at=` and `?after=` of a submission, and what the API says of a job that waits."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import jobs
from controllers.base import JobController
from core.statuses import JobStatus
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import SampleParameters, counted, sample_job
from tests.unit.api.support import body, get, post, problem

Handler = Callable[[func.HttpRequest], func.HttpResponse]
submit: Handler = jobs.submit_job._function.get_user_function()
show: Handler = jobs.get_job._function.get_user_function()
cancel: Handler = jobs.cancel_job._function.get_user_function()
retry: Handler = jobs.retry_job._function.get_user_function()
events: Handler = jobs.list_job_events._function.get_user_function()


class Secretive(SampleParameters):
    token: SecretStr = SecretStr("")


def exclusive(mode: str) -> type[JobController[Any]]:
    class Exclusive(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
        Parameters = Secretive
        when_exclusive = mode

        def exclusive_key(self, parameters: Secretive) -> str | None:
            return f"https://host/{parameters.token.get_secret_value()}?sig=1" if parameters.label == "keyed" else None

    return Exclusive


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(exclusive("wait")) as it:
        monkeypatch.setattr(jobs, "app", lambda: it.app)
        yield it


def submitted(label: str, **params: str) -> str:
    response = submit(post("sample", {"label": label}, None, **params))
    assert response.status_code == 202, response.get_body()
    return str(body(response)["job_id"])


def test_a_job_that_waits_says_for_what(it: Stand) -> None:
    at = (it.clock.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    first, second = submitted("a"), submitted("b")
    response = submit(post("sample", {"label": "c"}, start_at=at, after=f"{first},{second},{first}"))
    assert (response.status_code, body(response)["status"]) == (202, "waiting")
    job = body(show(get(body(response)["job_id"])))
    assert (job["status"], job["progress"], job["stages"]) == ("waiting", 0.0, [])
    assert job["waits_for"] == {
        "start_at": at.replace("Z", "+00:00"),
        "after": sorted([first, second]),
        "exclusive_key": None,
        "key_holder": None,
    }
    assert body(show(get(first)))["waits_for"] is None


@pytest.mark.parametrize(
    ("params", "field", "complaint"),
    [
        ({"start_at": "2030-01-01T00:00:00"}, "start_at", "with its zone"),
        ({"start_at": "2030-01-01"}, "start_at", "with its zone"),
        ({"start_at": "tomorrow"}, "start_at", "must be a time"),
        ({"start_at": "2030-01-01T00:00:00 01:00"}, "start_at", "%2B"),
        ({"start_at": "9999-12-31T23:59:59-23:00"}, "start_at", "year"),
        ({"start_at": "0001-01-01T00:00:00Z"}, "start_at", "year"),
        ({"start_at": ""}, "start_at", "must be a time"),
        ({"after": "nothing"}, "after", "job ids"),
        ({"after": "a" * 32 + ","}, "after", "job ids"),
        ({"after": ""}, "after", "job ids"),
        ({"after": ",".join(f"{number:032x}" for number in range(101))}, "after", "at most 100"),
        ({"after": "0" * 32}, "after", "there is no job"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(
    it: Stand, params: dict[str, str], field: str, complaint: str
) -> None:
    answer = problem(submit(post("sample", {}, None, **params)))
    assert (answer["status"], [error["field"] for error in answer["errors"]]) == (400, [field])
    assert complaint in answer["detail"]


def test_a_time_in_the_past_begins_at_once(it: Stand) -> None:
    assert it.job(submitted("a", start_at="1999-12-31T23:59:59+14:00")).status == JobStatus.QUEUED


def test_a_hundred_jobs_may_be_waited_for(it: Stand) -> None:
    before = [submitted(f"{number}") for number in range(100)]
    assert it.job(submitted("last", after=",".join(before))).status == JobStatus.WAITING


def test_the_key_of_a_job_is_shown_without_secrets(it: Stand) -> None:
    keyed = {"label": "keyed", "token": "pssst-pssst"}
    first = body(submit(post("sample", keyed, {"Idempotency-Key": "1"})))["job_id"]
    second = body(submit(post("sample", keyed, {"Idempotency-Key": "2"})))["job_id"]
    response = show(get(second))
    assert body(response)["waits_for"]["key_holder"] == first
    assert body(response)["waits_for"]["exclusive_key"] == "https://host/***"
    assert b"pssst" not in response.get_body()
    assert b"pssst" not in events(get(second)).get_body()


def test_a_job_that_is_refused_names_the_one_that_has_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(exclusive("refuse")) as it:
        monkeypatch.setattr(jobs, "app", lambda: it.app)
        first = submitted("keyed")
        answer = problem(submit(post("sample", {"label": "keyed"}, {"Idempotency-Key": "2"})))
        assert (answer["status"], answer["title"], answer["job_id"]) == (409, "Exclusive job", first)
        assert "exclusive key" in answer["detail"]


def test_jobs_after_a_cancelled_one_show_the_reason(it: Stand) -> None:
    first = submitted("a")
    second = submitted("b", after=first)
    assert cancel(get(first, "/cancel")).status_code == 202
    job = body(show(get(second)))
    assert (job["status"], job["error"]["type"]) == ("cancelled", "DependencyFailedError")
    assert first in job["error"]["message"]
