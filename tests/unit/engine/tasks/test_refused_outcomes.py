"""An outcome that PostgreSQL refuses fails its own task; the other outcomes of the invocation are recorded."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.errors import DatabaseError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import StageKey
from core.retry import Backoff
from core.statuses import TaskStatus
from core.task_runs import TaskOutcome
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, job_messages, received, stand
from tests.support.sample_jobs import counted, sample_job

REFUSED = "OutcomeRefusedError"


def fails_in_job_b(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if parameters["job"] == "b" and context.task_index == 1:
        raise ValueError("boom")
    return None


def two_jobs(it: Stand) -> tuple[str, str]:
    """Submits and dispatches two jobs; returns their ids."""
    jobs = it.submit("sample", label="a"), it.submit("sample", label="b")
    it.deliver_job_messages()
    return jobs


def labelled(job: Any, stage: Any) -> Any:
    for definition in counted(3)(job, stage):
        yield replace(definition, parameters={"job": job.parameters.label})


def statuses(it: Stand, job_id: str) -> list[TaskStatus]:
    return [task.status for task in it.tasks(job_id)]


@pytest.fixture
def endless_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "delay_seconds", lambda *_: 1e18)


@pytest.mark.usefixtures("endless_backoff")
def test_a_refused_outcome_fails_its_task_and_no_other() -> None:
    with stand(sample_job(labelled, fails_in_job_b)) as it:
        good, bad = two_jobs(it)
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))

        assert statuses(it, good) == [TaskStatus.COMPLETED] * 3
        assert statuses(it, bad) == [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.COMPLETED]
        error = it.tasks(bad)[1].error
        assert error is not None
        assert error["type"] == REFUSED
        assert "interval out of range" in error["message"]
        assert "ValueError: boom" in error["message"]
        ended = [JobMessage(job_id, 1, JobAction.ADVANCE) for job_id in sorted((good, bad))]
        assert sorted(job_messages(it.queue.receive(JOBS_QUEUE)), key=lambda each: each.job_id) == ended


@pytest.mark.usefixtures("endless_backoff")
def test_the_refusal_of_a_lone_outcome_fails_its_task() -> None:
    def fail(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        raise ValueError("boom")

    with stand(sample_job(counted(1), fail)) as it:
        job_id = it.submit("sample")
        it.pump()
        (task,) = it.tasks(job_id)
        assert (task.status, task.attempt) == (TaskStatus.FAILED, 1)
        assert it.job(job_id).error is not None


def test_a_stage_whose_counters_are_refused_keeps_no_other_stage_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with stand(sample_job(labelled)) as it:
        good, bad = two_jobs(it)
        with it.database.tables() as tables:  # one batch more than there is
            stage = tables.stages.lock(StageKey(bad, 1))
            assert stage is not None
            tables.stages.update(StageKey(bad, 1), replace(stage, finished_batches=1))
        with caplog.at_level(logging.ERROR):
            it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))

        assert statuses(it, good) == [TaskStatus.COMPLETED] * 3
        assert statuses(it, bad) == [TaskStatus.COMPLETED, TaskStatus.COMPLETED, TaskStatus.PROCESSING]
        last = it.tasks(bad)[-1].task_id
        assert [record.getMessage() for record in caplog.records if last in record.getMessage()]
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(good, 1, JobAction.ADVANCE)]
        assert len(it.queue.scheduled(TASKS_QUEUE)) == 1  # the message of the task whose lease must end first


def test_an_error_that_no_outcome_causes_releases_the_tasks_and_goes_to_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: FakeTaskRepository, lease_id: str, outcomes: list[TaskOutcome]) -> list[Any]:
        raise DatabaseError("permission denied for table tasks")

    with stand(sample_job(labelled)) as it:
        good, bad = two_jobs(it)
        messages = received(it.queue.receive(TASKS_QUEUE))
        with monkeypatch.context() as patched:
            patched.setattr(FakeTaskRepository, "record", refuse)
            with pytest.raises(DatabaseError, match="permission denied"):
                it.app.worker.run(TASKS_QUEUE, messages)
        assert {(task.status, task.attempt) for job in (good, bad) for task in it.tasks(job)} == {("retrying", 0)}

        it.app.worker.run(TASKS_QUEUE, messages)
        assert {(task.status, task.attempt) for job in (good, bad) for task in it.tasks(job)} == {("completed", 1)}
