from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import azure.functions as func
import pytest

from api import jobs
from core.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    QueueError,
    QueueNotFoundError,
    QueueUnavailableError,
    RefusedValueError,
)
from repositories.ports import TransactionKind
from tests.fakes.jobs import FakeJobRepository
from tests.support.drive import Stand
from tests.unit.api.support import BASE, body, get, post, problem

# The decorated names are builders of the Functions model; the host calls the functions behind them.
submit: Callable[[func.HttpRequest], func.HttpResponse] = jobs.submit_job._function.get_user_function()
get_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.get_job._function.get_user_function()


class UnavailableDatabase:
    """A `Database` that cannot be reached."""

    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> AbstractContextManager[Any]:
        raise DatabaseUnavailableError("connection to db.internal refused")


def test_an_accepted_job_is_answered_with_where_to_look(it: Stand) -> None:
    response = submit(post("hello_world", {"n": 3}))
    assert response.status_code == 202
    answer = body(response)
    assert answer["status_url"] == response.headers["Location"] == f"{BASE}/jobs/{answer['job_id']}"
    assert response.headers["Retry-After"] == "2"
    assert (answer["status"], answer["created"]) == ("queued", True)
    assert it.job(answer["job_id"]).parameters["n"] == 3


def test_the_same_job_again_is_accepted_but_not_created(it: Stand) -> None:
    first, second = (body(submit(post("hello_world", {"n": 3}))) for _ in range(2))
    assert (first["created"], second["created"]) == (True, False)
    assert first["job_id"] == second["job_id"]


def test_parameters_that_do_not_fit_are_named_one_by_one(it: Stand) -> None:
    answer = problem(submit(post("hello_world", {"n": 0, "nmae": "x"})))
    assert answer["status"] == 400
    assert [error["field"] for error in answer["errors"]] == ["n", "nmae"]
    assert answer["errors"][0]["message"] == "Input should be greater than or equal to 1"


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 199, "the body is not JSON"),
        (b"[]", "must be a JSON object, not an array"),
        (b'"x"', "must be a JSON object, not a string"),
        (b"3", "must be a JSON object, not a number"),
        (b"true", "must be a JSON object, not a boolean"),
        (b"null", "must be a JSON object, not null"),
        (b'{"n": NaN}', "parameters"),
        (b'{"n": 1, "name": "\\ud800"}', "parameters"),
        (b'{"n": 1, "name": "\\u0000"}', "parameters"),
        (b'{"n": 1, "\\ud800": 1}', "parameters"),
    ],
)
def test_a_body_that_makes_no_sense_is_400(it: Stand, sent: bytes, complaint: str) -> None:
    answer = problem(submit(post("hello_world", sent)))
    assert answer["status"] == 400
    assert complaint in answer["detail"]


def test_an_empty_body_is_an_empty_object(it: Stand) -> None:
    answer = problem(submit(post("hello_world", b"")))
    assert answer["errors"] == [{"field": "n", "message": "Field required"}]


def test_a_body_over_the_limit_is_413(it: Stand) -> None:
    answer = problem(submit(post("hello_world", b" " * 201)))
    assert (answer["status"], answer["limit_bytes"]) == (413, 200)


def test_an_unknown_job_type_is_404_with_the_known_ones(it: Stand) -> None:
    answer = problem(submit(post("goodbye_world", {})))
    assert (answer["status"], answer["known_job_types"]) == (404, ["hello_world"])


def test_a_key_that_belongs_to_other_parameters_is_409(it: Stand) -> None:
    submit(post("hello_world", {"n": 3}, {"Idempotency-Key": "monday"}))
    answer = problem(submit(post("hello_world", {"n": 4}, {"Idempotency-Key": "monday"})))
    assert answer["status"] == 409


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_a_wrong_length_is_400(it: Stand, key: str) -> None:
    answer = problem(submit(post("hello_world", {"n": 3}, {"Idempotency-Key": key})))
    assert answer["status"] == 400


@pytest.mark.parametrize("error", [QueueUnavailableError("sb.internal is busy"), QueueNotFoundError("no sb-jobs")])
def test_a_submission_without_a_broker_is_202_and_the_job_is_pending(it: Stand, error: QueueError) -> None:
    it.queue.failures.append(error)
    response = submit(post("hello_world", {"n": 3}))
    assert (response.status_code, body(response)["status"]) == (202, "pending_queue")
    again = submit(post("hello_world", {"n": 3}))
    assert (again.status_code, body(again)["status"]) == (202, "queued")


def test_an_unavailable_database_is_503_with_when_to_try_again(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(it.app.submitter, "_database", UnavailableDatabase())
    response = submit(post("hello_world", {"n": 3}))
    answer = problem(response)
    assert (answer["status"], response.headers["Retry-After"]) == (503, "5")
    assert "internal" not in answer["detail"]


def test_an_app_that_cannot_be_built_because_the_database_is_unavailable_is_503(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "app", UnavailableDatabase().transaction)
    assert problem(submit(post("hello_world", {"n": 3})))["status"] == 503


def refuse(it: Stand, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def create(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(FakeJobRepository, "create", create)


def test_a_refused_statement_is_503_without_details(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(it, monkeypatch, DatabaseError("permission denied for table internal"))
    answer = problem(submit(post("hello_world", {"n": 3})))
    assert answer["status"] == 503
    assert "internal" not in answer["detail"]


def test_an_error_that_will_not_pass_is_500_without_details(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(it, monkeypatch, RefusedValueError("internal"))
    answer = problem(submit(post("hello_world", {"n": 3})))
    assert answer["status"] == 500
    assert "internal" not in answer["detail"]


@pytest.mark.parametrize("text", [b'{"n": 3.0}', b'{"n": 30e-1}'])
def test_a_whole_number_may_be_spelled_with_a_point(it: Stand, text: bytes) -> None:
    assert body(submit(post("hello_world", text)))["job_id"] == it.submit("hello_world", n=3)


@pytest.mark.parametrize("text", [b'{"n": 3.5}', b'{"n": 1e400}', b'{"n": -1e400}', b'{"n": NaN}', b'{"n": 1e300}'])
@pytest.mark.usefixtures("it")
def test_any_other_number_is_none(text: bytes) -> None:
    assert problem(submit(post("hello_world", text)))["status"] == 400


def test_a_bug_is_500_without_details(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(it.app, submitter=None)  # type: ignore[arg-type] # that is the bug
    monkeypatch.setattr(jobs, "app", lambda: broken)
    answer = problem(submit(post("hello_world", {"n": 3})))
    assert answer["status"] == 500
    assert "NoneType" not in str(answer)


@pytest.mark.parametrize(("params", "urgent"), [({}, False), ({"urgent": "true"}, True), ({"urgent": "false"}, False)])
def test_a_job_is_urgent_if_its_client_asks_for_it(it: Stand, params: dict[str, str], *, urgent: bool) -> None:
    job_id = body(submit(post("hello_world", {"n": 1}, None, **params)))["job_id"]
    assert it.job(job_id).urgent == urgent
    assert body(get_job(get(job_id)))["urgent"] == urgent


@pytest.mark.usefixtures("it")
@pytest.mark.parametrize("text", ["yes", "1", "True", ""])
def test_an_urgency_that_is_neither_true_nor_false_is_400(text: str) -> None:
    assert problem(submit(post("hello_world", {"n": 1}, urgent=text)))["errors"] == [
        {"field": "urgent", "message": "must be true or false"}
    ]
