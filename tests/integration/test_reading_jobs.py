"""The routes that read jobs, on the rows of a job that has run on the real database."""

import json
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import failures, job_listing, jobs, results, tasks
from controllers import authoring as lockstep
from core.errors import PermanentTaskError
from tests.integration.conftest import BuildApp
from tests.support.mailbox import Mailbox
from wiring import App

N = 250
SECRET = "pssst-secret"

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

list_jobs: HttpFunction = job_listing.list_jobs._function.get_user_function()
list_failures: HttpFunction = failures.list_failures._function.get_user_function()
list_tasks: HttpFunction = jobs.list_tasks._function.get_user_function()
list_results: HttpFunction = results.list_results._function.get_user_function()
get_task: HttpFunction = tasks.get_task._function.get_user_function()
get_job: HttpFunction = jobs.get_job._function.get_user_function()


class RowsParameters(lockstep.JobParameters):
    source: str
    token: SecretStr


@lockstep.task_type("rows.check")
def check(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if parameters["row"] % 100 == 7:
        raise PermanentTaskError(f"row {parameters['row']} is empty; the token is {parameters['token']}")
    return {"row": parameters["row"], "with": parameters["token"]}


class Rows(lockstep.JobController[RowsParameters]):
    job_type = "rows"
    stages = (lockstep.StageSpec("check", max_failed_fraction=0.5),)
    task_types = (check,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[RowsParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for row in range(N):
            yield check.task(row, {"row": row, "token": job.parameters.token.get_secret_value()})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[RowsParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return None


def run(app: App, mailbox: Mailbox) -> str:
    job_id = app.submitter.submit("rows", {"source": "a.csv", "token": SECRET}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, N).run(app)
    app.stages.handle(mailbox.take_job_message())
    return job_id


def get(function: HttpFunction, job_id: str = "", task_id: str = "", **params: str) -> func.HttpResponse:
    url, route = f"https://jobs.example/api/jobs/{job_id}", {"job_id": job_id, "task_id": task_id}
    response = function(func.HttpRequest("GET", url, params=params, route_params=route, body=b""))
    assert response.status_code == 200, response.get_body()
    assert SECRET.encode() not in response.get_body()
    return response


def body(response: func.HttpResponse) -> Any:
    return json.loads(response.get_body())


def test_a_person_finds_a_job_why_its_tasks_failed_and_the_results_of_the_others(
    build_app: BuildApp, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build_app([Rows])
    for module in (failures, job_listing, jobs, results, tasks):
        monkeypatch.setattr(module, "app", lambda: app)
    job_id = run(app, mailbox)

    (listed,) = body(get(list_jobs, status="completed_with_errors", text="A.CSV"))["jobs"]
    assert (listed["job_id"], listed["progress"], listed["failed_tasks"]) == (job_id, 1.0, 3)
    assert body(get(list_jobs, text=SECRET)) == {"jobs": [], "next": None}

    answer = body(get(list_failures, job_id))
    assert (answer["failed_tasks"], answer["read_tasks"], answer["next"]) == (3, 3, None)
    (group,) = answer["groups"]
    assert (group["message"], group["tasks"]) == ("row # is empty; the token is ***", 3)

    failed = body(get(list_tasks, job_id, error=group["error"], limit="2"))
    assert [each["task_index"] for each in failed["tasks"]] == [7, 107]
    rest = body(get(list_tasks, job_id, error=group["error"], limit="2", after=failed["next"]))
    assert ([each["task_index"] for each in rest["tasks"]], rest["next"]) == ([207], None)

    task = body(get(get_task, job_id, group["example_task_id"]))
    assert (task["parameters"], task["checkpoint"]) == ({"row": 7, "token": "***"}, None)
    assert [each["message"] for each in task["errors"]] == ["row 7 is empty; the token is ***"]

    page = get(list_results, job_id, limit="200")
    last = get(list_results, job_id, after=page.headers["Next-After"])
    lines = [json.loads(line) for each in (page, last) for line in each.get_body().decode().splitlines()]
    assert [line["task_index"] for line in lines] == list(range(N))
    assert sum(line["status"] == "failed" for line in lines) == 3
    assert "ETag" in get(get_job, job_id).headers
