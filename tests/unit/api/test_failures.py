from collections.abc import Callable, Iterator
from functools import partialmethod
from typing import Any

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import failures, jobs
from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from core.error_groups import READ_CHARACTERS, group_of
from core.errors import PermanentTaskError
from core.models import TaskError
from core.pages import Page
from tests.fakes.task_listing import FakeTaskListingRepository
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import body, get, problem

list_failures: Callable[[func.HttpRequest], func.HttpResponse] = failures.list_failures._function.get_user_function()
list_tasks: Callable[[func.HttpRequest], func.HttpResponse] = jobs.list_tasks._function.get_user_function()
SECRET = "pssst-secret"
TASKS = 450


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Every hundredth task fails for one cause, and two further ones for another."""
    if parameters["n"] % 100 == 7:
        raise PermanentTaskError(f"row {parameters['n']} of https://store.example/a.csv?sig={SECRET} is empty")
    if parameters["n"] in {8, 208}:
        raise PermanentTaskError(f"no access with key {SECRET}")
    return None


class Parameters(lockstep.JobParameters):
    token: SecretStr = SecretStr("another secret")


class Sample(sample_job(counted(TASKS), work)):  # type: ignore[misc] # a class that a function makes
    Parameters = Parameters
    stages = (lockstep.StageSpec("only", max_failed_fraction=1),)


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, Sample) as it:
        for module in (failures, jobs):
            monkeypatch.setattr(module, "app", lambda: it.app)
        yield it


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two batches."""
    errors = FakeTaskListingRepository.errors
    monkeypatch.setattr(FakeTaskListingRepository, "errors", partialmethod(errors, batches=2))


def run(it: Stand) -> str:
    job_id = it.submit("sample")
    it.pump_through_time()
    return job_id


def pages(function: Callable[[func.HttpRequest], func.HttpResponse], job_id: str, **params: str) -> list[Any]:
    found = []
    for _ in range(50):
        found.append(body(function(get(job_id, **params))))
        if found[-1]["next"] is None:
            return found
        params["after"] = found[-1]["next"]
    raise AssertionError("the list does not end")


def test_failed_tasks_are_grouped_by_their_cause(it: Stand) -> None:
    job_id = run(it)
    answer = body(list_failures(get(job_id, "/failures")))
    row_group = group_of("PermanentTaskError", "row 7 of https://store.example/a.csv is empty")
    key_group = group_of("PermanentTaskError", f"no access with key {SECRET}")
    url = f"/api/jobs/{job_id}/tasks?status=failed&error="
    assert answer == {
        "failed_tasks": 7,
        "read_tasks": 7,
        "groups": [
            {
                "error": row_group.id,
                "type": "PermanentTaskError",
                "message": "row # of # is empty",
                "tasks": 5,
                "example_task_id": f"{job_id}-s01-t0000007",
                "tasks_url": url + row_group.id,
            },
            {
                "error": key_group.id,
                "type": "PermanentTaskError",
                "message": f"no access with key {SECRET}",
                "tasks": 2,
                "example_task_id": f"{job_id}-s01-t0000008",
                "tasks_url": url + key_group.id,
            },
        ],
        "next": None,
    }


@pytest.mark.usefixtures("short_pages")
def test_the_counts_of_pages_add_up(it: Stand) -> None:
    job_id = run(it)
    found = pages(list_failures, job_id)
    assert len(found) > 1
    assert {page["failed_tasks"] for page in found} == {7}
    assert sum(page["read_tasks"] for page in found) == 7
    counts: dict[str, int] = {}
    for group in (group for page in found for group in page["groups"]):
        counts[group["message"]] = counts.get(group["message"], 0) + group["tasks"]
    assert sorted(counts.values()) == [2, 5]


@pytest.mark.parametrize("limit", ["1", "2", "100"])
@pytest.mark.parametrize("batches", [2, 50])
def test_the_tasks_of_a_group_are_listed(it: Stand, limit: str, batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = FakeTaskListingRepository.errors
    monkeypatch.setattr(FakeTaskListingRepository, "errors", partialmethod(errors, batches=batches))
    job_id = run(it)
    rows, keys = body(list_failures(get(job_id)))["groups"]
    for group, indexes in ((rows["error"], [7, 107, 207, 307, 407]), (keys["error"], [8, 208]), ("0" * 16, [])):
        found = [each for page in pages(list_tasks, job_id, error=group, limit=limit) for each in page["tasks"]]
        assert [each["task_index"] for each in found] == indexes
        assert all(each["status"] == "failed" and "parameters" not in each for each in found)


def test_the_tasks_of_a_group_have_the_payload_that_is_asked_for(it: Stand) -> None:
    job_id = run(it)
    (group, _) = body(list_failures(get(job_id)))["groups"]
    answer = body(list_tasks(get(job_id, error=group["error"], status="failed", include="parameters", limit="1")))
    assert answer["tasks"][0]["parameters"] == {"n": 7}


def test_a_secret_of_the_job_is_not_shown(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error was stored by a version of the app that did not know yet that the parameter is secret."""
    job_id = run(it)
    monkeypatch.setattr(Parameters, "model_validate", lambda _: Parameters(token=SecretStr(SECRET)))
    messages = [group["message"] for group in body(list_failures(get(job_id)))["groups"]]
    assert messages == ["row # of # is empty", "no access with key ***"]


@pytest.mark.parametrize(
    ("secret", "message", "shown"),
    [
        ("two  spaces", "no access with two  spaces here", "no access with *** here"),
        ("a 'quoted b", "it's a 'quoted b, isn't it", "it's ***, isn't it"),
        ("my pass phrase", "x " * 244 + "key my pass phrase", "x " * 244 + "key"),  # cut after "my pass"
        ("hunter", "refused: password = another", "refused: password # ***"),
    ],
)
def test_a_secret_is_found_before_the_message_is_made_shorter(
    it: Stand, monkeypatch: pytest.MonkeyPatch, secret: str, message: str, shown: str
) -> None:
    errors = Page([TaskError("a task", "ValueError", message[:READ_CHARACTERS])], has_more=False)
    monkeypatch.setattr(FakeTaskListingRepository, "errors", lambda *_: errors)
    monkeypatch.setattr(Parameters, "model_validate", lambda _: Parameters(token=SecretStr(secret)))
    job_id = it.submit("sample")
    assert [group["message"] for group in body(list_failures(get(job_id)))["groups"]] == [shown]


def test_a_job_without_failed_tasks_has_no_groups(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    nothing = {"failed_tasks": 0, "read_tasks": 0, "groups": [], "next": None}
    assert body(list_failures(get(job_id))) == nothing
    it.pump()
    assert body(list_failures(get(job_id))) == nothing


def test_a_task_that_did_not_fail_is_in_no_group(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = run(it)
    (group, _) = body(list_failures(get(job_id)))["groups"]
    monkeypatch.delattr(FakeTaskListingRepository, "errors")  # no error is read for this answer
    assert body(list_tasks(get(job_id, error=group["error"], status="completed"))) == {"tasks": [], "next": None}


@pytest.mark.usefixtures("it")
@pytest.mark.parametrize("job_id", ["f" * 32, "x"])
def test_a_job_that_does_not_exist_is_404(job_id: str) -> None:
    assert problem(list_failures(get(job_id)))["job_id"] == job_id
    assert problem(list_tasks(get(job_id, error="0" * 16)))["job_id"] == job_id
    assert problem(list_tasks(get(job_id, error="0" * 16, status="completed")))["job_id"] == job_id


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"error": "x"}, "error"),
        ({"error": "0" * 17}, "error"),
    ],
)
def test_a_group_that_makes_no_sense_is_400(it: Stand, params: dict[str, str], field: str) -> None:
    answer = problem(list_tasks(get(it.submit("hello_world", n=1), **params)))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, field)


def test_a_place_that_makes_no_sense_is_400(it: Stand) -> None:
    answer = problem(list_failures(get(it.submit("hello_world", n=1), after="x")))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "after")
