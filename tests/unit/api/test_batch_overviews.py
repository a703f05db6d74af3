"""All batches at once: the map of a stage, the tasks that ended over time, and the tasks of one batch."""

from collections.abc import Callable

import azure.functions as func
import pytest

from api import batch_overviews, jobs
from core.statuses import TaskStatus
from tests.support.drive import Stand
from tests.unit.api.support import BASE, body, get, problem

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]
get_batch_map: HttpFunction = batch_overviews.get_batch_map._function.get_user_function()
get_throughput: HttpFunction = batch_overviews.get_throughput._function.get_user_function()
list_tasks: HttpFunction = jobs.list_tasks._function.get_user_function()
NOWHERE = "f" * 32


def again(job_id: str, part: str, etag: str) -> func.HttpRequest:
    return func.HttpRequest(
        method="GET",
        url=f"{BASE}/jobs/{job_id}{part}",
        headers={"If-None-Match": etag},
        route_params={"job_id": job_id},
        body=b"",
    )


def ended_job(it: Stand, n: int = 250) -> str:
    job_id = it.submit("hello_world", n=n)
    it.pump()
    return job_id


def test_the_map_has_a_letter_for_each_batch_of_the_stage_that_is_asked_for(it: Stand) -> None:
    job_id = ended_job(it)
    assert body(get_batch_map(get(job_id, "/batch-map"))) == {"stage": 2, "states": "ccc"}
    assert body(get_batch_map(get(job_id, "/batch-map", stage="1"))) == {"stage": 1, "states": "ccc"}
    assert body(get_batch_map(get(job_id, "/batch-map", stage="9"))) == {"stage": 9, "states": ""}


def test_a_job_that_has_not_begun_has_an_empty_map_and_no_throughput(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    assert body(get_batch_map(get(job_id))) == {"stage": 0, "states": ""}
    nothing: dict[str, object] = {"first_at": None, "bucket_seconds": 1, "completed": [], "failed": [], "cancelled": []}
    assert body(get_throughput(get(job_id))) == nothing


def test_the_throughput_counts_every_ended_task(it: Stand) -> None:
    answer = body(get_throughput(get(ended_job(it))))
    assert sum(answer["completed"]) == 500
    assert sum(answer["failed"]) == sum(answer["cancelled"]) == 0
    assert len(answer["completed"]) == len(answer["failed"]) == len(answer["cancelled"])


@pytest.mark.parametrize(("function", "part"), [(get_batch_map, "/batch-map"), (get_throughput, "/throughput")])
def test_a_poll_is_304_while_nothing_has_changed(it: Stand, function: HttpFunction, part: str) -> None:
    job_id = it.submit("hello_world", n=3)
    etag = function(get(job_id, part)).headers["ETag"]
    assert function(again(job_id, part, etag)).status_code == 304
    it.pump()
    assert function(again(job_id, part, etag)).status_code == 200


@pytest.mark.parametrize("function", [get_batch_map, get_throughput])
def test_an_unknown_job_is_404(it: Stand, function: HttpFunction) -> None:
    assert problem(function(get(NOWHERE)))["title"] == "No such job"


def test_a_stage_that_is_no_number_is_400(it: Stand) -> None:
    assert problem(get_batch_map(get(NOWHERE, stage="one")))["errors"][0]["field"] == "stage"


def test_the_tasks_of_a_batch_are_listed_page_by_page(it: Stand) -> None:
    job_id = ended_job(it)
    found, after = list[str](), ""
    while after is not None:
        page = body(list_tasks(get(job_id, "/tasks", batch=f"{job_id}-s1-b1", limit="40", after=after)))
        found += [task["task_id"] for task in page["tasks"]]
        after = page["next"]
    assert found == [f"{job_id}-s01-t{index:07}" for index in range(100, 200)]


def test_a_batch_can_be_combined_with_a_status_or_an_error(it: Stand) -> None:
    job_id = ended_job(it)
    batch = {"batch": f"{job_id}-s1-b1"}
    assert body(list_tasks(get(job_id, "/tasks", **batch, status=TaskStatus.FAILED))) == {"tasks": [], "next": None}
    assert body(list_tasks(get(job_id, "/tasks", **batch, error="0" * 16))) == {"tasks": [], "next": None}


def test_a_batch_of_another_job_has_no_tasks_here(it: Stand) -> None:
    mine, other = ended_job(it), ended_job(it, 3)
    assert body(list_tasks(get(mine, "/tasks", batch=f"{other}-s1-b0")))["tasks"] == []
    assert problem(list_tasks(get(NOWHERE, "/tasks", batch=f"{NOWHERE}-s1-b0")))["title"] == "No such job"


@pytest.mark.parametrize("text", ["x", "1", f"{NOWHERE}-s0-b1"])
def test_a_text_that_is_no_batch_is_400(it: Stand, text: str) -> None:
    assert problem(list_tasks(get(NOWHERE, "/tasks", batch=text)))["errors"][0]["field"] == "batch"
