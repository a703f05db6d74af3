"""What a job type may look at before its job is accepted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import jobs
from controllers import authoring as lockstep
from core.errors import DatabaseUnavailableError, IdempotencyConflictError, UnreachableError
from engine.jobs import submission_check
from engine.jobs.submission_check import SubmissionCheck
from tests.support.defaults import set_defaults
from tests.support.drive import Stand, stand
from tests.unit.api.support import body, post, problem

submit_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.submit_job._function.get_user_function()
Check = Callable[["Parameters", lockstep.Services], None]


class Parameters(lockstep.JobParameters):
    source: str = "a.csv"
    token: SecretStr = SecretStr("")


work = lockstep.task_type("checked.work")(lambda context, parameters: None)


def checked(check: Check) -> type[lockstep.JobController[Any]]:
    """A job type with this check."""

    class Checked(lockstep.JobController[Parameters]):
        job_type = "checked"
        stages = (lockstep.StageSpec("only"),)
        task_types = (work,)

        def check_submission(self, parameters: Parameters, services: lockstep.Services) -> None:
            check(parameters, services)

        def create_stage_tasks(
            self, job: lockstep.JobContext[Parameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            yield work.task(0, {})

    return Checked


def raising(exc: BaseException) -> Check:
    def check(parameters: Parameters, services: lockstep.Services) -> None:
        raise exc

    return check


@contextmanager
def served(check: Check, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(checked(check)) as it:
        monkeypatch.setattr(jobs, "app", lambda: it.app)
        yield it


def rows(it: Stand) -> int:
    with it.database.tables() as tables:
        return len(tables.jobs.rows())


def test_a_job_that_is_checked_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    with served(lambda *given: seen.append(given), monkeypatch) as it:
        response = submit_job(post("checked", {"source": "b.csv"}))
        it.pump()
        assert (response.status_code, it.job(body(response)["job_id"]).status) == (202, "completed")
        ((parameters, services),) = seen
        assert (parameters.source, services.database) == ("b.csv", it.database)


@pytest.mark.parametrize("condition", ["start_at", "after"])
def test_a_job_that_starts_later_is_not_checked_because_the_world_may_change_until_then(
    monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    def check(parameters: Parameters, services: lockstep.Services) -> None:
        if parameters.source != "there.csv":
            raise lockstep.InvalidParameterError("source", "there is no such file")

    with served(check, monkeypatch) as it:
        value = it.submit("checked", source="there.csv") if condition == "after" else "2999-01-01T00:00:00Z"
        response = submit_job(post("checked", {}, None, **{condition: value}))
        assert (response.status_code, it.job(body(response)["job_id"]).status) == (202, "waiting")


@pytest.mark.parametrize(
    ("exc", "errors"),
    [
        (
            lockstep.InvalidParameterError("source", "there is no such file"),
            [{"field": "source", "message": "there is no such file"}],
        ),
        (lockstep.InvalidInputError("the two do not fit"), []),
        (lockstep.JobFailure("there is no such table"), []),
    ],
    ids=["parameter", "input", "failure"],
)
def test_a_job_that_is_refused_is_400_and_leaves_no_row(
    monkeypatch: pytest.MonkeyPatch, exc: Exception, errors: object
) -> None:
    with served(raising(exc), monkeypatch) as it:
        answer = problem(submit_job(post("checked", {})))
        assert (answer["status"], answer["detail"], answer["errors"]) == (400, str(exc), errors)
        assert rows(it) == 0


@pytest.mark.parametrize(
    "exc", [lockstep.UnreachableError("no answer"), ConnectionRefusedError("no answer"), TimeoutError("no answer")]
)
def test_a_source_that_cannot_be_reached_is_503_and_leaves_no_row(
    monkeypatch: pytest.MonkeyPatch, exc: Exception
) -> None:
    with served(raising(exc), monkeypatch) as it:
        response = submit_job(post("checked", {}))
        assert (problem(response)["status"], problem(response)["detail"]) == (503, "no answer")
        assert response.headers["Retry-After"] == "5"
        assert rows(it) == 0


@pytest.mark.parametrize("exc", [ValueError("a bug"), SystemExit(1)])
def test_another_error_of_the_check_is_500_without_details(monkeypatch: pytest.MonkeyPatch, exc: BaseException) -> None:
    with served(raising(exc), monkeypatch) as it:
        assert "bug" not in str(problem(submit_job(post("checked", {}))))
        assert problem(submit_job(post("checked", {})))["status"] == 500
        assert rows(it) == 0


def test_a_refusal_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(parameters: Parameters, services: lockstep.Services) -> None:
        raise lockstep.InvalidParameterError("token", f"{parameters.token.get_secret_value()} is refused")

    with served(check, monkeypatch):
        answer = problem(submit_job(post("checked", {"token": "pssst-pssst"})))
        assert answer["errors"] == [{"field": "token", "message": "*** is refused"}]
        assert "pssst" not in str(answer)


def test_an_error_of_the_check_is_logged_without_secrets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def check(parameters: Parameters, services: lockstep.Services) -> None:
        raise ValueError(f"{parameters.token.get_secret_value()} is wrong")

    with served(check, monkeypatch):
        assert problem(submit_job(post("checked", {"token": "pssst-pssst"})))["status"] == 500
    assert "*** is wrong" in caplog.text
    assert "pssst" not in caplog.text


def test_the_database_that_a_check_reads_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(raising(DatabaseUnavailableError("away")), monkeypatch):
        assert problem(submit_job(post("checked", {})))["status"] == 503


def test_a_job_that_was_accepted_is_not_refused_when_the_world_has_changed() -> None:
    changed: list[Exception] = []

    def check(parameters: Parameters, services: lockstep.Services) -> None:
        for exc in changed:
            raise exc

    with stand(checked(check)) as it:
        first = it.app.submitter.submit("checked", {}, "key")
        changed.append(lockstep.InvalidParameterError("source", "there is no such file"))
        again = it.app.submitter.submit("checked", {}, "key")
        assert (again.job_id, again.created) == (first.job_id, False)
        with pytest.raises(IdempotencyConflictError):
            it.app.submitter.submit("checked", {"source": "b.csv"}, "key")
        with pytest.raises(lockstep.InvalidInputError):
            it.app.submitter.submit("checked", {}, "another key")


@pytest.fixture(autouse=True)
def _checks_may_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check is given up only where a test says when."""
    set_defaults(monkeypatch, SubmissionCheck.__init__, seconds=120.0)


def test_a_check_that_does_not_end_is_given_up_and_keeps_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = threading.Event()

    def check(parameters: Parameters, services: lockstep.Services) -> None:
        ends.wait()

    monkeypatch.setattr(submission_check, "_MOST_AT_ONCE", 2)
    with stand(checked(check)) as it:
        submissions = SubmissionCheck(lockstep.Services(Path(), frozenset(), it.database), seconds=0.01)
        controller = it.app.registry.controller("checked")
        try:
            for _ in range(2):
                with pytest.raises(UnreachableError, match=r"took longer than 0\.01 s"):
                    submissions.check(controller, Parameters())
            with pytest.raises(UnreachableError, match="2 submissions are being checked"):
                submissions.check(controller, Parameters())
        finally:
            ends.set()


def test_a_job_type_without_a_check_costs_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unchecked(lockstep.JobController[Parameters]):
        job_type = "unchecked"
        stages = (lockstep.StageSpec("only"),)
        task_types = (work,)

        def create_stage_tasks(
            self, job: lockstep.JobContext[Parameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            yield work.task(0, {})

    with stand(Unchecked) as it:
        began = []
        begin = it.database.begin

        def counted() -> Any:
            began.append(1)
            return begin()

        monkeypatch.setattr(it.database, "begin", counted)
        it.submit("unchecked")
        assert len(began) == 2  # create or find, mark queued
