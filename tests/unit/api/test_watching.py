import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import azure.functions as func
import pytest

from api import jobs
from controllers.hello_world import HelloWorld
from core.lanes import MessagePer
from core.statuses import TaskStatus
from core.task_runs import TaskOutcome
from tests.fakes.stages import FakeStageRepository
from tests.support.drive import Stand
from tests.unit.api.support import body, get, problem

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

# The decorated names are builders of the Functions model; the host calls the functions behind them.
get_job: HttpFunction = jobs.get_job._function.get_user_function()
list_batches: HttpFunction = jobs.list_batches._function.get_user_function()
list_tasks: HttpFunction = jobs.list_tasks._function.get_user_function()
list_job_events: HttpFunction = jobs.list_job_events._function.get_user_function()


def pages(function: HttpFunction, name: str, job_id: str, **params: str) -> list[list[Any]]:
    """All pages of a listing, following `next`."""
    found: list[list[Any]] = []
    while True:
        answer = body(function(get(job_id, f"/{name}", **params)))
        found.append(answer[name])
        if answer["next"] is None:
            return found
        assert len(found) < 100, "the listing does not end"
        params["after"] = str(answer["next"])


def test_a_finished_job_shows_its_result_and_its_stages(it: Stand) -> None:
    job_id = it.submit("hello_world", n=150)
    it.clock.advance(1)
    it.pump()
    response = get_job(get(job_id))
    assert (response.status_code, response.mimetype) == (200, "application/json")
    answer = body(response)
    assert (answer["job_id"], answer["job_type"], answer["status"]) == (job_id, "hello_world", "completed")
    assert (answer["stage"], answer["stage_name"], answer["total_stages"]) == (2, "replies", 2)
    assert (answer["progress"], answer["eta_seconds"], answer["error"]) == (1.0, None, None)
    assert answer["result"]["greetings"] == 150
    assert answer["created_at"] == "2030-01-01T00:00:00+00:00"
    greetings = answer["stages"][0]
    assert "result" not in greetings
    assert (greetings["total_tasks"], greetings["total_batches"], greetings["batches_queued"]) == (150, 2, 2)
    assert greetings["waits_for_room"] is False
    assert greetings["tasks"] == {
        "created": 150,
        "pending_queue": 0,
        "queued": 0,
        "processing": 0,
        "retrying": 0,
        "completed": 150,
        "failed": 0,
        "cancelled": 0,
        "estimated": False,
    }


def test_a_job_shows_the_results_of_its_stages_if_asked(it: Stand) -> None:
    job_id = it.submit("hello_world", n=150)
    it.pump()
    all_of_them, later = (
        [
            stage.get("result", "absent")
            for stage in body(get_job(get(job_id, include="stage_results", **after)))["stages"]
        ]
        for after in ({}, {"after": "1"})
    )
    assert "absent" not in all_of_them
    assert later == ["absent", all_of_them[1]]


@pytest.mark.parametrize("include", ["", "stage_results"])
@pytest.mark.parametrize("after", ["x", "-1", "100", "1.5"])
def test_a_cursor_of_stage_results_that_makes_no_sense_is_400(it: Stand, after: str, include: str) -> None:
    answer = problem(get_job(get(it.submit("hello_world", n=1), include=include, after=after)))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "after")


def test_an_unknown_payload_of_a_job_is_400_with_the_one_that_is_known(it: Stand) -> None:
    answer = problem(get_job(get(it.submit("hello_world", n=1), include="result")))
    assert answer["errors"] == [
        {"field": "include", "message": "must name some of stage_results, progress_notes, separated by commas"}
    ]


def test_a_job_that_waits_shows_no_stage_yet(it: Stand) -> None:
    answer = body(get_job(get(it.submit("hello_world", n=1))))
    assert (answer["status"], answer["stage"], answer["stage_name"], answer["stages"]) == ("queued", 0, None, [])
    assert (answer["progress"], answer["tasks_per_second"], answer["result"]) == (0.0, None, None)


@pytest.mark.parametrize("job_id", ["f" * 32, "x", "", "F" * 32, "'; DROP TABLE jobs"])
@pytest.mark.parametrize(
    "function", [get_job, list_batches, list_tasks, list_job_events], ids=["job", "batches", "tasks", "events"]
)
def test_a_job_that_does_not_exist_is_404(it: Stand, function: HttpFunction, job_id: str) -> None:
    answer = problem(function(get(job_id)))
    assert (answer["status"], answer["job_id"]) == (404, job_id)


def test_batches_are_listed_page_by_page_across_stages(it: Stand) -> None:
    job_id = it.submit("hello_world", n=250)
    it.pump()
    found = pages(list_batches, "batches", job_id, limit="4")
    assert [len(page) for page in found] == [4, 2]
    assert [(each["stage"], each["task_count"]) for page in found for each in page] == [
        *((1, 100), (1, 100), (1, 50)),
        *((2, 100), (2, 100), (2, 50)),
    ]
    assert {each["status"] for page in found for each in page} == {"finished"}


def test_a_batch_shows_whether_one_message_carries_it(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = HelloWorld.stages
    monkeypatch.setattr(HelloWorld, "stages", (first, replace(second, message_per=MessagePer.BATCH)))
    job_id = it.submit("hello_world", n=2)
    it.pump()
    ((greetings, replies),) = pages(list_batches, "batches", job_id)
    assert (greetings["message_per"], replies["message_per"]) == ("task", "batch")


def test_tasks_are_listed_page_by_page_without_parameters_and_results(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    it.pump()
    found = pages(list_tasks, "tasks", job_id, limit="2")
    assert [len(page) for page in found] == [2, 2, 2]
    first = found[0][0]
    assert (first["task_id"], first["status"], first["attempt"]) == (f"{job_id}-s01-t0000000", "completed", 1)
    assert {"error", "errors", "progress"} <= first.keys()
    assert not {"parameters", "result"} & first.keys()


@pytest.mark.parametrize("include", ["parameters", "result", "parameters,result", "result,parameters", "result,result"])
def test_tasks_are_listed_with_the_payload_that_is_asked_for(it: Stand, include: str) -> None:
    job_id = it.submit("hello_world", n=3)
    it.pump()
    found = pages(list_tasks, "tasks", job_id, limit="2", include=include)
    assert [len(page) for page in found] == [2, 2, 2]
    payload = {name: value for name, value in found[0][0].items() if name in {"parameters", "result"}}
    whole = {"parameters": {"name": "world"}, "result": {"greeting": "Hello world, from task 0!"}}
    assert payload == {name: whole[name] for name in include.split(",")}


@pytest.mark.parametrize("include", ["x", "parameters,", "parameters, result", "Result", ",", "x" * 5_000])
def test_an_unknown_payload_of_tasks_is_400_with_those_that_are_known(it: Stand, include: str) -> None:
    answer = problem(list_tasks(get(it.submit("hello_world", n=1), include=include)))
    assert answer["status"] == 400
    message = "must name some of parameters, result, separated by commas"
    assert answer["errors"] == [{"field": "include", "message": message}]


def test_a_task_shows_its_worker_its_progress_and_the_errors_of_its_attempts(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.deliver_job_messages()
    task_id = f"{job_id}-s01-t0000000"
    with it.database.transaction() as work:
        assert work.tasks.claim([task_id], "lease", 50, "host 7")
        assert work.tasks.write_progress(task_id, "lease", 0.25, "reads https://user:pssst@store.example/a?sig=pssst")
        error = json.dumps({"type": "OSError", "message": "https://store.example/a?sig=pssst is gone"})
        work.tasks.record("lease", [TaskOutcome(task_id, TaskStatus.RETRYING, error=error)])
    (task,) = body(list_tasks(get(job_id, "/tasks")))["tasks"]
    assert (task["worker"], task["progress"]) == ("host 7", 0.25)
    assert task["progress_note"] == "reads https://store.example/a"
    message = "https://store.example/a is gone"
    assert task["error"] == {"type": "OSError", "message": message}
    assert task["errors"] == [{"attempt": 1, "at": "2030-01-01T00:00:00+00:00", "type": "OSError", "message": message}]


def test_a_job_shows_what_its_running_tasks_said_last_if_asked(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    it.deliver_job_messages()
    task_ids = [f"{job_id}-s01-t000000{number}" for number in range(3)]
    with it.database.transaction() as work:
        assert len(work.tasks.claim(task_ids, "lease", 50)) == 3
        assert work.tasks.write_progress(task_ids[0], "lease", 0.5, "reads https://store.example/a?sig=pssst")
    it.clock.advance(1)
    with it.database.transaction() as work:
        assert work.tasks.write_progress(task_ids[2], "lease", 0.25, None)
    answer = body(get_job(get(job_id, include="progress_notes")))
    first, second = answer["progress_notes"]
    assert first == {
        "task_id": task_ids[2],
        "stage": 1,
        "progress": 0.25,
        "progress_note": None,
        "progress_at": "2030-01-01T00:00:01+00:00",
    }
    assert (second["task_id"], second["progress_note"]) == (task_ids[0], "reads https://store.example/a")
    both = body(get_job(get(job_id, include="progress_notes,stage_results")))
    assert both["progress_notes"] == answer["progress_notes"]
    assert "progress_notes" not in body(get_job(get(job_id)))


def test_estimates_that_have_missed_a_running_task_do_not_hide_what_it_said(
    it: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = it.submit("hello_world", n=1)
    it.deliver_job_messages()
    with it.database.transaction() as work:
        work.tasks.claim([f"{job_id}-s01-t0000000"], "lease", 50)
        assert work.tasks.write_progress(f"{job_id}-s01-t0000000", "lease", 0.5, None)
    counts = FakeStageRepository.counts
    missing = partial(replace, processing=0, are_estimates=True)
    monkeypatch.setattr(FakeStageRepository, "counts", lambda *given: missing(counts(*given)))
    (note,) = body(get_job(get(job_id, include="progress_notes")))["progress_notes"]
    assert note["progress"] == 0.5


def test_a_job_of_which_no_task_runs_has_no_notes(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    assert body(get_job(get(job_id, include="progress_notes")))["progress_notes"] == []
    it.pump()
    assert body(get_job(get(job_id, include="progress_notes")))["progress_notes"] == []


def test_a_task_that_waits_shows_none_of_them(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.deliver_job_messages()
    (task,) = body(list_tasks(get(job_id, "/tasks")))["tasks"]
    assert (task["worker"], task["errors"], task["progress"], task["progress_note"]) == (None, [], None, None)


def test_tasks_are_listed_by_status(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    it.pump()
    assert len(body(list_tasks(get(job_id, "/tasks", status="completed")))["tasks"]) == 6
    assert body(list_tasks(get(job_id, "/tasks", status="failed"))) == {"tasks": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "", "1.5", "1e3", "\N{SUPERSCRIPT TWO}", "9" * 5_000])
@pytest.mark.parametrize("function", [list_batches, list_tasks, list_job_events], ids=["batches", "tasks", "events"])
def test_a_page_size_that_makes_no_sense_is_400(it: Stand, function: HttpFunction, limit: str) -> None:
    answer = problem(function(get(it.submit("hello_world", n=1), limit=limit)))
    assert answer["status"] == 400
    assert answer["errors"] == [{"field": "limit", "message": "must be a whole number from 1 to 1000"}]


@pytest.mark.parametrize("after", ["1", "1-", "-1", "a-b", "100-1", "1-1234567890", "1-1\n"])
def test_a_batch_cursor_that_makes_no_sense_is_400(it: Stand, after: str) -> None:
    answer = problem(list_batches(get(it.submit("hello_world", n=1), after=after)))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "after")


@pytest.mark.parametrize("after", ["1", "x" * 5_000, "f" * 32])
def test_a_task_cursor_that_makes_no_sense_is_400(it: Stand, after: str) -> None:
    answer = problem(list_tasks(get(it.submit("hello_world", n=1), after=after)))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "after")


def test_a_task_status_that_does_not_exist_is_400_with_those_that_do(it: Stand) -> None:
    answer = problem(list_tasks(get(it.submit("hello_world", n=1), status="done")))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "status")
    assert "completed, failed, cancelled" in answer["errors"][0]["message"]


def test_events_are_listed_page_by_page(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    it.pump()
    found = pages(list_job_events, "events", job_id, limit="3")
    assert [len(page) for page in found] == [3, 3, 2]
    assert [(each["kind"], each["stage"]) for page in found for each in page] == [
        ("submitted", 0),
        *((kind, 1) for kind in ("stage_started", "stage_dispatched", "stage_finished")),
        *((kind, 2) for kind in ("stage_started", "stage_dispatched", "stage_finished")),
        ("completed", 2),
    ]
    first = found[0][0]
    assert (first["subject"], first["times"], first["details"]) == (None, 1, {"job_type": "hello_world"})
    assert first["at"] == first["last_at"] == "2030-01-01T00:00:00+00:00"
    assert "job_id" not in first


def test_events_are_polled_since_the_last_answer(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    first = body(list_job_events(get(job_id)))
    assert [each["kind"] for each in first["events"]] == ["submitted"]
    it.pump()
    second = body(list_job_events(get(job_id, since=str(first["since"]), limit="3")))
    assert [each["kind"] for each in second["events"]] == ["stage_started", "stage_dispatched", "stage_finished"]
    rest = body(list_job_events(get(job_id, since=str(first["since"]), after=str(second["next"]))))
    assert [each["kind"] for each in rest["events"]][-1] == "completed"
    assert body(list_job_events(get(job_id, since=str(second["since"]))))["events"] == []


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "9" * 30])
def test_a_time_of_polling_that_makes_no_sense_is_400(it: Stand, since: str) -> None:
    answer = problem(list_job_events(get(it.submit("hello_world", n=1), since=since)))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "since")


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30, "1-1"])
def test_an_event_cursor_that_makes_no_sense_is_400(it: Stand, after: str) -> None:
    answer = problem(list_job_events(get(it.submit("hello_world", n=1), after=after)))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, "after")
