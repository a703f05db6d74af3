"""Clients that poll a job: 304 when nothing has changed, and 202 until it has ended."""

from collections.abc import Callable

import azure.functions as func
import pytest

from api import jobs
from core.lanes import TASKS_QUEUE
from core.statuses import JobStatus
from tests.support.drive import Stand, received
from tests.unit.api.support import BASE, body, post, problem

get_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.get_job._function.get_user_function()

submit_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.submit_job._function.get_user_function()
cancel_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.cancel_job._function.get_user_function()
retry_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.retry_job._function.get_user_function()
resume_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.resume_job._function.get_user_function()


def change(job_id: str, verb: str, **params: str) -> func.HttpRequest:
    url, route = f"{BASE}/jobs/{job_id}/{verb}", {"job_id": job_id}
    return func.HttpRequest("POST", url, params=params, route_params=route, body=b"")


def get(job_id: str, tag: str | None = None, **params: str) -> func.HttpResponse:
    headers = {} if tag is None else {"If-None-Match": tag}
    url, route = f"{BASE}/jobs/{job_id}?code=a-function-key", {"job_id": job_id}
    return get_job(func.HttpRequest("GET", url, headers=headers, params=params, route_params=route, body=b""))


def test_an_answer_that_the_client_has_is_304(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    first = get(job_id)
    tag = first.headers["ETag"]
    again = get(job_id, tag)
    assert (again.status_code, again.get_body(), again.headers["ETag"]) == (304, b"", tag)


def test_a_change_of_the_job_has_another_tag(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    tags = [get(job_id).headers["ETag"]]
    it.deliver_job_messages()
    tags.append(get(job_id, tags[-1]).headers["ETag"])
    it.pump()
    last = get(job_id, tags[-1])
    assert last.status_code == 200
    assert len({*tags, last.headers["ETag"]}) == 3


def test_a_job_in_which_nothing_happens_is_304_though_time_passes(it: Stand) -> None:
    """Rate and ETA change by the clock alone; a monitor may keep the last ones."""
    job_id = it.submit("hello_world", n=150)
    it.deliver_job_messages()
    tag = get(job_id).headers["ETag"]
    it.clock.advance(60)
    assert get(job_id, tag).status_code == 304


def test_a_job_that_has_paused_is_sent_again_because_nobody_should_see_its_last_rate(it: Stand) -> None:
    job_id = it.submit("hello_world", n=150)
    it.deliver_job_messages()
    it.clock.advance(10)
    it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)[:50]))
    first = get(job_id)
    assert (body(first)["tasks_per_second"], body(first)["stages"][0]["eta_seconds"]) == (5.0, 20.0)
    it.clock.advance(200)
    assert get(job_id, first.headers["ETag"]).status_code == 304
    it.clock.advance(200)
    last = get(job_id, first.headers["ETag"])
    assert (last.status_code, body(last)["tasks_per_second"], body(last)["eta_seconds"]) == (200, None, None)
    it.clock.advance(200)
    assert get(job_id, last.headers["ETag"]).status_code == 304


@pytest.mark.parametrize("form", ["{}", '"x", {}', "*", 'W/"x",{} , "y"'])
def test_the_tag_is_found_among_others(it: Stand, form: str) -> None:
    job_id = it.submit("hello_world", n=1)
    tag = get(job_id).headers["ETag"]
    assert get(job_id, form.format(tag)).status_code == 304
    assert get(job_id, form.format(tag.removeprefix("W/"))).status_code == 304


@pytest.mark.parametrize("tag", ["", '"x"', 'W/"0"', "x"])
def test_another_tag_is_answered_in_full(it: Stand, tag: str) -> None:
    assert get(it.submit("hello_world", n=1), tag).status_code == 200


def test_a_job_is_202_until_it_has_ended_if_the_client_asks_for_it(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    response = get(job_id, poll="202")
    assert (response.status_code, response.headers["Retry-After"]) == (202, "2")
    assert response.headers["Location"] == f"{BASE}/jobs/{job_id}?poll=202"
    assert body(response)["status"] == "queued"
    it.pump()
    ended = get(job_id, poll="202")
    assert (ended.status_code, body(ended)["status"]) == (200, "completed")
    assert "Location" not in ended.headers


def test_the_next_poll_asks_for_the_same(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    location = get(job_id, poll="202", include="stage_results", after="1").headers["Location"]
    assert location == f"{BASE}/jobs/{job_id}?poll=202&include=stage_results&after=1"


def test_a_submission_and_a_change_lead_to_a_poll_if_the_client_asks_for_it(it: Stand) -> None:
    submitted = submit_job(post("hello_world", {"n": 150}, poll="202"))
    job_id = body(submitted)["job_id"]
    it.deliver_job_messages()
    answers = [submitted, cancel_job(change(job_id, "cancel", poll="202"))]
    it.pump()
    answers.append(resume_job(change(job_id, "resume", poll="202")))
    assert [answer.status_code for answer in answers] == [202] * 3
    assert {answer.headers["Location"] for answer in answers} == {f"{BASE}/jobs/{job_id}?poll=202"}
    assert {body(answer)["status_url"] for answer in answers} == {f"{BASE}/jobs/{job_id}"}


def test_a_retry_leads_to_a_poll_if_the_client_asks_for_it(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = it.submit("hello_world", n=1)
    monkeypatch.setattr(it.app.reopener, "retry", lambda *_: JobStatus.PROCESSING)
    location = retry_job(change(job_id, "retry", poll="202")).headers["Location"]
    assert location == f"{BASE}/jobs/{job_id}?poll=202"


@pytest.mark.parametrize("function", [cancel_job, retry_job, resume_job], ids=["cancel", "retry", "resume"])
def test_a_change_that_is_polled_by_another_status_is_400(
    it: Stand, function: Callable[[func.HttpRequest], func.HttpResponse]
) -> None:
    job_id = it.submit("hello_world", n=1)
    before = it.job(job_id)
    answer = problem(function(change(job_id, "verb", poll="200")))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "poll")
    assert it.job(job_id) == before
    submission = problem(submit_job(post("hello_world", {"n": 2}, poll="200")))
    assert (submission["status"], submission["errors"][0]["field"]) == (400, "poll")


def test_a_job_is_200_by_default(it: Stand) -> None:
    response = get(it.submit("hello_world", n=1))
    assert response.status_code == 200
    assert not {"location", "retry-after"} & {name.lower() for name in dict(response.headers)}


@pytest.mark.parametrize("poll", ["200", "true", "x"])
def test_another_status_to_poll_by_is_400(it: Stand, poll: str) -> None:
    answer = problem(get(it.submit("hello_world", n=1), poll=poll))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "poll")
