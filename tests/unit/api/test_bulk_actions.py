"""Requests about many jobs, and what tells of their progress."""

from collections.abc import Callable

import azure.functions as func
import pytest

from api import bulk_actions
from controllers.registry import Registry
from core.errors import ConfigurationError
from core.statuses import JobStatus
from tests.support.drive import Stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import BASE, body, problem

Handler = Callable[[func.HttpRequest], func.HttpResponse]
HANDLERS: dict[str, Handler] = {
    "cancel": bulk_actions.cancel_jobs._function.get_user_function(),
    "retry": bulk_actions.retry_jobs._function.get_user_function(),
    "delete": bulk_actions.delete_jobs._function.get_user_function(),
}
get_action: Handler = bulk_actions.get_action._function.get_user_function()


list_actions: Handler = bulk_actions.list_actions._function.get_user_function()


def post(verb: str, sent: bytes = b"", /, **query: str) -> func.HttpResponse:
    return HANDLERS[verb](func.HttpRequest("POST", f"{BASE}/jobs/{verb}", params=query, body=sent))


def progress_of(action_id: str) -> func.HttpResponse:
    url = f"{BASE}/actions/{action_id}"
    return get_action(func.HttpRequest("GET", url, route_params={"action_id": action_id}, body=b""))


@pytest.fixture
def job_ids(it: Stand) -> list[str]:
    job_ids = [it.submit("hello_world", n=number) for number in (1, 2)]
    it.clock.advance(1)
    return job_ids


def test_jobs_are_cancelled_and_the_location_tells_so(it: Stand, job_ids: list[str]) -> None:
    answer = post("cancel", type="hello_world")
    assert answer.status_code == 202
    begun = body(answer)
    assert answer.headers["Location"] == f"{BASE}/actions/{begun['action_id']}"
    shown = progress_of(begun["action_id"])
    assert (shown.status_code, body(shown)) == (200, begun)
    told = {name: begun[name] for name in ("action", "is_finished", "matched", "done", "failed", "failures")}
    assert told == {
        "action": "cancel",
        "is_finished": True,
        "matched": 2,
        "done": 2,
        "failed": 0,
        "failures": [],
    }
    assert [it.job(job_id).status for job_id in job_ids] == [JobStatus.CANCELLED] * 2


def test_a_dry_run_counts_and_does_nothing(it: Stand, job_ids: list[str]) -> None:
    answer = post("cancel", status="pending_queue,queued", dry_run="true")
    assert (answer.status_code, body(answer)) == (200, {"matched": 2})
    assert it.job(job_ids[0]).status == JobStatus.QUEUED


def test_a_job_that_cannot_be_deleted_is_named(it: Stand, job_ids: list[str]) -> None:
    post("cancel", type="hello_world")
    begun = body(post("delete", status="cancelled"))
    assert (begun["matched"], begun["done"], begun["failed"]) == (2, 0, 2)
    assert {each["job_id"] for each in begun["failures"]} == set(job_ids)
    it.pump()
    it.clock.advance(1_000)
    assert body(post("delete", status="cancelled"))["done"] == 2


def test_failed_jobs_are_retried(it: Stand, job_ids: list[str]) -> None:
    with it.database.transaction() as work:
        work.jobs.finish(job_ids[0], JobStatus.FAILED, None, '{"type": "JobFailure", "message": "no"}')
    assert body(post("retry", status="failed"))["done"] == 1
    assert it.job(job_ids[0]).status == JobStatus.PENDING_QUEUE


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({}, "name some jobs"),
        ({"dry_run": "true"}, "name some jobs"),
        ({"type": "hello_world", "dry_run": "yes"}, "dry_run must be true or false"),
        ({"status": "failed"}, "cancel applies to jobs that are"),
        ({"status": "x"}, "status must be some of"),
        ({"created_from": "x"}, "created_from must be a time"),
    ],
)
def test_a_request_that_names_no_jobs_is_refused(
    it: Stand, job_ids: list[str], query: dict[str, str], why: str
) -> None:
    answer = problem(post("cancel", **query))
    assert answer["status"] == 400
    assert why in answer["detail"]
    assert it.job(job_ids[0]).status == JobStatus.QUEUED


@pytest.mark.parametrize("verb", HANDLERS)
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"text": "foo"}, "text is not known"),
        ({"Status": "queued"}, "Status is not known"),
        ({"dryrun": "true"}, "dryrun is not known"),
        ({"after": "x"}, "after is not known"),
        ({"status": ""}, "status is empty"),
        ({"created_from": ""}, "created_from is empty"),
    ],
)
def test_a_parameter_that_would_be_ignored_is_refused(
    it: Stand, job_ids: list[str], verb: str, query: dict[str, str], named: str
) -> None:
    answer = problem(post(verb, type="hello_world", **query))
    assert (answer["status"], [each["field"] for each in answer["errors"]]) == (400, list(query))
    assert named in answer["detail"]
    assert it.job(job_ids[0]).status == JobStatus.QUEUED


@pytest.mark.parametrize("verb", HANDLERS)
@pytest.mark.parametrize("sent", [b'{"status": "queued"}', b"status=queued", b"[]"])
def test_a_body_is_refused(it: Stand, job_ids: list[str], verb: str, sent: bytes) -> None:
    assert problem(post(verb, sent, type="hello_world"))["status"] == 400
    assert it.job(job_ids[0]).status == JobStatus.QUEUED


@pytest.mark.parametrize("sent", [b"", b"{}"])
def test_a_client_that_must_send_a_body_sends_an_empty_object(it: Stand, job_ids: list[str], sent: bytes) -> None:
    assert it.app
    assert body(post("cancel", sent, type="hello_world", code="key", clientId="default"))["done"] == len(job_ids)


@pytest.mark.parametrize("action_id", ["f" * 32, "x", ""])
def test_an_action_that_does_not_exist_is_404(it: Stand, action_id: str) -> None:
    assert it.app
    assert problem(progress_of(action_id))["status"] == 404


@pytest.mark.parametrize("name", ["cancel", "retry", "delete"])
def test_no_job_type_may_have_the_name_of_such_a_request(name: str) -> None:
    controller = sample_job(counted(1))
    controller.job_type = name
    with pytest.raises(ConfigurationError, match=f"must not be {name}"):
        Registry([controller])


def listed(**query: str) -> func.HttpResponse:
    return list_actions(func.HttpRequest("GET", f"{BASE}/actions", params=query, body=b""))


def test_actions_are_listed_page_by_page_with_their_filters(it: Stand, job_ids: list[str]) -> None:
    assert body(listed()) == {"actions": [], "next": None}
    cancelled = body(post("cancel", type="hello_world", created_from="2029-01-01T00:00:00Z"))
    it.clock.advance(1)
    deleted = body(post("delete", status="cancelled,failed"))
    first = body(listed(limit="1"))
    second = body(listed(limit="1", after=first["next"]))
    assert second["next"] is None
    (newest,), (oldest,) = first["actions"], second["actions"]
    assert (newest["action_id"], newest["failed"], newest["statuses"]) == (
        deleted["action_id"],
        2,
        ["cancelled", "failed"],
    )
    assert oldest == {
        **{name: cancelled[name] for name in cancelled if name != "failures"},
        "job_type": "hello_world",
        "statuses": ["pending_queue", "processing", "queued", "waiting"],
        "created_from": "2029-01-01T00:00:00+00:00",
        "created_before": cancelled["created_at"],
    }


@pytest.mark.parametrize(
    ("query", "field"), [({"after": "x"}, "after"), ({"limit": "0"}, "limit"), ({"status": "failed"}, "status")]
)
def test_a_list_of_actions_that_makes_no_sense_is_400(it: Stand, query: dict[str, str], field: str) -> None:
    answer = problem(listed(**query))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, field)
