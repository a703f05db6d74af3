import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import results
from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from core.errors import PermanentTaskError
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import BASE, problem

list_results: Callable[[func.HttpRequest], func.HttpResponse] = results.list_results._function.get_user_function()
SECRET = "pssst-secret"


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if parameters["n"] == 1:
        raise PermanentTaskError(f"no access with {SECRET}")
    return {"read": f"https://store.example/a.csv?sig={SECRET}", "with": SECRET, "text": "a,\n\"b'"}


class Parameters(lockstep.JobParameters):
    token: SecretStr = SecretStr(SECRET)


class Sample(sample_job(counted(3), work)):  # type: ignore[misc] # a class that a function makes
    Parameters = Parameters
    stages = (lockstep.StageSpec("only", max_failed_fraction=1),)


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, Sample) as it:
        monkeypatch.setattr(results, "app", lambda: it.app)
        yield it


def get(job_id: str, accept: str = "*/*", **params: str) -> func.HttpResponse:
    return list_results(
        func.HttpRequest(
            "GET",
            f"{BASE}/jobs/{job_id}/results",
            headers={"Accept": accept},
            params=params,
            route_params={"job_id": job_id},
            body=b"",
        )
    )


def pages(job_id: str, accept: str = "*/*", **params: str) -> list[str]:
    found = []
    for _ in range(200):
        response = get(job_id, accept, **params)
        assert response.status_code == 200
        found.append(response.get_body().decode())
        if "Next-After" not in response.headers:
            return found
        params["after"] = response.headers["Next-After"]
    raise AssertionError("the results do not end")


def lines(texts: list[str]) -> list[Any]:
    return [json.loads(line) for text in texts for line in text.splitlines()]


@pytest.mark.parametrize("limit", ["1", "2", "150", "1000"])
def test_the_results_of_a_stage_are_lines_of_json(it: Stand, limit: str) -> None:
    job_id = it.submit("hello_world", n=150)
    it.pump()
    found = lines(pages(job_id, stage="1", limit=limit))
    assert [each["task_index"] for each in found] == list(range(150))
    assert found[7] == {
        "task_id": f"{job_id}-s01-t0000007",
        "task_index": 7,
        "task_type": "hello_world.greet",
        "status": "completed",
        "result": {"greeting": "Hello world, from task 7!"},
        "error": None,
    }


def test_the_current_stage_is_the_default(it: Stand) -> None:
    job_id = it.submit("hello_world", n=2)
    it.pump()
    assert [each["task_id"] for each in lines(pages(job_id))] == [f"{job_id}-s02-t000000{n}" for n in range(2)]


def test_the_next_page_has_a_link_without_the_key_of_the_request(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    it.pump()
    response = get(job_id, limit="2", code="a-function-key")
    after = "1"
    assert response.mimetype == "application/x-ndjson"
    assert response.headers["Next-After"] == after
    assert (response.headers["Stage"], response.headers["Stage-Status"]) == ("2", "finished")
    assert response.headers["Link"] == f'<{BASE}/jobs/{job_id}/results?stage=2&limit=2&after={after}>; rel="next"'
    last = get(job_id, after=after)
    assert not {"Link", "Next-After"} & dict(last.headers).keys()


def test_results_are_csv_if_the_client_asks_for_it(it: Stand) -> None:
    job_id = it.submit("sample")
    it.pump_through_time()
    text = "".join(pages(job_id, "text/csv", limit="1"))
    assert get(job_id, "text/csv").mimetype == "text/csv"
    first, second, _ = csv.DictReader(io.StringIO(text, newline=""))
    assert (first["task_id"], first["status"], first["error"]) == (f"{job_id}-s01-t0000000", "completed", "")
    assert json.loads(first["result"])["text"] == "a,\n\"b'"
    assert (second["result"], json.loads(second["error"])["type"]) == ("", "PermanentTaskError")


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/csv, application/x-ndjson"])
def test_results_are_ndjson_otherwise(it: Stand, accept: str) -> None:
    assert get(it.submit("hello_world", n=1), accept).mimetype == "application/x-ndjson"


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/csv"])
def test_results_are_shown_without_secrets(it: Stand, accept: str) -> None:
    job_id = it.submit("sample")
    it.pump_through_time()
    (text,) = pages(job_id, accept)
    assert "pssst" not in text
    assert "https://store.example/a.csv" in text
    assert "no access with ***" in text


def test_a_job_that_has_not_begun_has_no_results(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    for params in ({}, {"stage": "1"}, {"stage": "99"}):
        response = get(job_id, **params)
        assert (response.status_code, response.get_body()) == (200, b"")
        assert "Stage-Status" not in response.headers


def test_a_task_that_has_not_ended_has_no_line(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    it.deliver_job_messages()
    response = get(job_id)
    assert (response.get_body(), response.headers["Stage-Status"]) == (b"", "running")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"stage": "0"}, "stage"),
        ({"stage": "x"}, "stage"),
        ({"stage": "100"}, "stage"),
        ({"limit": "0"}, "limit"),
        ({"after": "x"}, "after"),
        ({"after": "-1"}, "after"),
        ({"after": "10000000"}, "after"),
    ],
)
def test_a_query_that_makes_no_sense_is_400(it: Stand, params: dict[str, str], field: str) -> None:
    job_id = it.submit("hello_world", n=1)
    answer = problem(get(job_id, **params))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, field)


@pytest.mark.usefixtures("it")
def test_a_job_that_does_not_exist_is_404() -> None:
    assert problem(get("f" * 32))["status"] == 404
