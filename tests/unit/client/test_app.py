"""The client talks to the functions of the app, over the fakes."""

import asyncio
import json
from typing import get_type_hints

import pytest

from client import AsyncLockstep, JobFilter, Lockstep, answers, app_answers
from client.errors import ConflictError, InvalidInputError, NotFoundError
from tests.support.drive import Stand
from tests.support.http_app import AppTransport
from tests.unit.client.conftest import URL

NO_SUCH_JOB = "0" * 32


def test_a_job_is_submitted_watched_and_read(it: Stand, client: Lockstep) -> None:
    submission = client.submit("hello_world", {"n": 150})
    it.pump()

    assert (submission["created"], client.submit("hello_world", {"n": 150})["created"]) == (True, False)
    (job,) = client.watch(submission["job_id"])
    assert (job["status"], job["result"]["replies"]) == ("completed", 150)
    assert [batch["task_count"] for batch in client.batches(job["job_id"])] == [100, 50] * 2
    assert next(client.events(job["job_id"]))["kind"] == "submitted"
    assert [listed["job_id"] for listed in client.jobs(JobFilter("hello_world", ["completed"]))] == [job["job_id"]]
    assert client.job(job["job_id"], stage_results=True)["stages"][0]["result"]["completed"] == 150


def test_a_job_has_what_its_running_tasks_say_if_asked(it: Stand, client: Lockstep, transport: AppTransport) -> None:
    job_id = it.submit("hello_world", n=1)
    it.deliver_job_messages()
    task_id = f"{job_id}-s01-t0000000"
    with it.database.transaction() as work:
        assert work.tasks.claim([task_id], "lease", 50)
        assert work.tasks.write_progress(task_id, "lease", 0.5, "half")

    async def ask() -> list[answers.Job]:
        async with AsyncLockstep(URL, transport=transport) as app:
            watched = app.watch(job_id, progress_notes=True)
            return [await app.job(job_id, progress_notes=True), await anext(aiter(watched))]

    both = client.job(job_id, progress_notes=True, stage_results=True)
    found = [both, next(client.watch(job_id, progress_notes=True)), *asyncio.run(ask())]
    assert [[note["progress_note"] for note in job["progress_notes"]] for job in found] == [["half"]] * 4
    assert found[0]["progress_notes"][0].keys() == get_type_hints(answers.ProgressNote).keys()
    assert "progress_notes" not in client.job(job_id)
    assert "progress_notes" not in next(client.watch(job_id))


def test_lists_go_on_over_pages(it: Stand, client: Lockstep, transport: AppTransport) -> None:
    job_id = it.submit("hello_world", n=5)
    it.pump()
    transport.requests.clear()

    tasks = list(client.tasks(job_id, page_size=4))

    assert [task["task_index"] for task in tasks] == [*range(5), *range(5)]
    assert len(transport.requests) == 3
    assert client.task(job_id, tasks[0]["task_id"])["parameters"] == {"name": "world"}


def test_results_are_those_of_one_stage_and_go_on_after_an_index(it: Stand, client: Lockstep) -> None:
    job_id = it.submit("hello_world", n=5)
    it.pump()

    results = list(client.results(job_id, stage=1, after=2))

    assert [result["task_index"] for result in results] == [3, 4]
    assert results[0].keys() == get_type_hints(answers.TaskResult).keys()
    assert "".join(page.text for page in client.result_pages(job_id, csv=True)).startswith("task_id,")


def test_the_changes_of_a_job_have_methods(it: Stand, client: Lockstep) -> None:
    job_id = it.submit("hello_world", n=5)

    assert client.cancel(job_id)["status"] == "cancelled"
    assert client.resume(job_id)["status"] != "cancelled"
    it.pump()
    with pytest.raises(ConflictError, match="only a job that failed") as caught:
        client.retry(job_id)

    assert (caught.value.status, caught.value.type) == (409, "urn:lockstep:problem:not-in-this-status")
    assert caught.value.problem.members == {"job_id": job_id, "job_status": "completed"}


def test_a_field_that_is_not_valid_is_named(client: Lockstep) -> None:
    with pytest.raises(InvalidInputError) as caught:
        client.submit("hello_world", {"n": 0})

    assert [each.field for each in caught.value.fields] == ["n"]


def test_what_does_not_exist_is_not_found(client: Lockstep) -> None:
    for ask in (client.job, client.cancel, lambda job_id: list(client.batches(job_id))):
        with pytest.raises(NotFoundError, match="there is no job"):
            ask(NO_SUCH_JOB)
    with pytest.raises(NotFoundError) as caught:
        client.submit("no_such_type", {})
    assert caught.value.problem.members == {"known_job_types": ["hello_world"]}


def test_many_jobs_are_counted_and_changed(it: Stand, client: Lockstep) -> None:
    for n in (1, 2, 3):
        it.submit("hello_world", n=n)
    it.clock.advance(1)
    every = JobFilter(job_type="hello_world")

    assert client.count_jobs("cancel", every) == {"matched": 3}
    action = client.change_jobs("cancel", every)
    assert client.action(action["action_id"])["done"] == 3


def test_the_app_is_described(client: Lockstep) -> None:
    assert [each["name"] for each in client.job_types()] == ["hello_world"]
    assert "sb-jobs" in {queue["queue"] for queue in client.queues()}
    assert (client.schedules(), list(client.dead_letters())) == ([], [])
    assert client.health()["checks"].keys() >= {"database", "broker"}
    assert client.openapi()["openapi"].startswith("3.1")


def test_bulk_actions_are_listed(it: Stand, client: Lockstep, transport: AppTransport) -> None:
    begun = []
    for _ in range(3):
        begun.append(client.change_jobs("cancel", JobFilter("hello_world"))["action_id"])
        it.clock.advance(1)

    async def ask() -> list[str]:
        async with AsyncLockstep(URL, transport=transport) as app:
            return [each["action_id"] async for each in app.actions(page_size=1)]

    listed = list(client.actions(page_size=2))
    assert [each["action_id"] for each in listed] == begun[::-1] == asyncio.run(ask())
    assert listed[0].keys() == get_type_hints(app_answers.ListedAction).keys()


def test_the_asynchronous_client_does_the_same(it: Stand, transport: AppTransport) -> None:
    async def use() -> tuple[str, int, int]:
        async with AsyncLockstep(URL, transport=transport) as app:
            submission = await app.submit("hello_world", {"n": 3})
            it.pump()
            (job,) = [each async for each in app.watch(submission["job_id"])]
            tasks = [each async for each in app.tasks(job["job_id"], page_size=2)]
            return job["status"], len(tasks), len([each async for each in app.results(job["job_id"])])

    assert asyncio.run(use()) == ("completed", 6, 3)


def test_the_asynchronous_client_raises_the_same_errors(it: Stand, transport: AppTransport) -> None:
    async def use() -> None:
        async with AsyncLockstep(URL, transport=transport) as app:
            await app.job(NO_SUCH_JOB)

    with pytest.raises(NotFoundError):
        asyncio.run(use())


def test_a_slash_in_an_id_reaches_no_other_route(client: Lockstep, transport: AppTransport) -> None:
    with pytest.raises(NotFoundError):
        client.job("../health")
    assert [each.url.raw_path for each in transport.requests] == [b"/api/jobs/..%2Fhealth"]


def test_a_body_is_sent_as_json(client: Lockstep, transport: AppTransport) -> None:
    client.submit("hello_world", {"n": 1, "name": "ünï"})
    assert json.loads(transport.requests[-1].content) == {"n": 1, "name": "ünï"}
