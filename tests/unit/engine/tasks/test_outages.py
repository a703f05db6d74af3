"""An outage of the database or of the broker costs time, and loses no work."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.errors import DatabaseUnavailableError, PermanentTaskError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage, OutgoingMessage
from core.models import Task
from core.statuses import JobStatus, TaskStatus
from core.task_runs import TaskOutcome
from engine.tasks import recorder
from engine.tasks.handler_runner import MAX_INTERRUPTIONS
from repositories.ports import UnitOfWork
from tests.support.drive import Stand, job_messages, received, second_process, stand, task_messages
from tests.support.sample_jobs import counted, echo, sample_job


def dispatched(it: Stand) -> tuple[str, list[OutgoingMessage]]:
    job_id = it.submit("sample")
    it.deliver_job_messages()
    return job_id, it.queue.receive(TASKS_QUEUE)


def only_task(it: Stand, job_id: str) -> Task:
    (task,) = it.tasks(job_id)
    return task


def test_a_claim_waits_for_the_database() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id, messages = dispatched(it)
        it.database.go_away(40)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, 1)] * 3


def test_a_claim_waits_for_the_database_as_long_as_a_lease_before_it_abandons_its_messages() -> None:
    with stand(sample_job(counted(3))) as it:
        _, messages = dispatched(it)
        before = it.clock.now()
        it.database.go_away(1_000)
        with pytest.raises(DatabaseUnavailableError):
            it.app.worker.run(TASKS_QUEUE, received(messages))
        assert (it.clock.now() - before).total_seconds() == it.app.settings.lease_seconds


def test_a_claim_whose_commit_is_not_acknowledged_spends_no_attempt() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id, messages = dispatched(it)
        it.database.lost_acknowledgements = 1
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, 1)] * 3


def test_outcomes_wait_for_the_database_for_longer_than_a_lease() -> None:
    runs: list[str] = []
    with stand() as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            runs.append(context.task_id)
            shell.database.go_away(200)
            return None

        with second_process(shell, sample_job(counted(2), run)) as it:
            job_id, messages = dispatched(it)
            it.app.worker.run(TASKS_QUEUE, received(messages))
            assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, 1)] * 2
            assert len(runs) == 2


def permanently(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise PermanentTaskError("no")


@pytest.mark.parametrize(("handler", "status"), [(echo, TaskStatus.COMPLETED), (permanently, TaskStatus.FAILED)])
def test_a_record_whose_commit_is_not_acknowledged_still_ends_the_stage(handler: Any, status: TaskStatus) -> None:
    with stand() as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            shell.database.lost_acknowledgements = 1
            return handler(context, parameters)

        with second_process(shell, sample_job(counted(1), run)) as it:
            job_id, messages = dispatched(it)
            it.app.worker.run(TASKS_QUEUE, received(messages))
            task = only_task(it, job_id)
            assert (task.status, task.attempt) == (status, 1)
            assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(job_id, 1, JobAction.ADVANCE)]


def test_a_retry_whose_commit_is_not_acknowledged_is_sent_for_when_it_is_due() -> None:
    with stand() as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            if context.attempt == 1:
                shell.database.lost_acknowledgements = 1
                raise ValueError("no")
            return context.attempt

        with second_process(shell, sample_job(counted(1), run)) as it:
            job_id, messages = dispatched(it)
            it.app.worker.run(TASKS_QUEUE, received(messages))
            task = only_task(it, job_id)
            assert (task.status, task.failures) == (TaskStatus.RETRYING, 1)
            assert task.not_before is not None
            (again,) = it.queue.scheduled(TASKS_QUEUE)
            assert again.enqueue_at is not None
            assert again.enqueue_at >= task.not_before
            assert task_messages([again])[0].send == task.sends
            it.pump_through_time()
            assert only_task(it, job_id).result == 2
            assert it.job(job_id).status == JobStatus.COMPLETED


def test_an_outage_of_the_broker_at_the_end_of_a_stage_loses_no_outcome() -> None:
    with stand() as shell:

        def run(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            shell.queue.go_away(30)
            return None

        with second_process(shell, sample_job(counted(1), run)) as it:
            job_id, messages = dispatched(it)
            outages = it.outages
            outages.run(lambda: it.app.worker.run(TASKS_QUEUE, received(messages)), outages.deadline(50))
            task = only_task(it, job_id)
            assert (task.status, task.attempt) == (TaskStatus.COMPLETED, 1)
            it.pump()
            assert it.job(job_id).status == JobStatus.COMPLETED


def refuse_outcomes(it: Stand, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Has the database refuse outcomes but not claims, as it may when its disk is nearly full.

    Returns:
        How many of the tasks another worker could claim, at each try to record.
    """
    write, back_at = recorder._write, it.clock.now() + timedelta(seconds=seconds)
    claimed_by_others: list[int] = []

    def refused(work: UnitOfWork, lease_id: str, outcomes: Sequence[TaskOutcome]) -> Any:
        if it.clock.now() >= back_at:
            return write(work, lease_id, outcomes)
        with it.database.transaction() as other:
            claimed = other.tasks.claim([outcome.task_id for outcome in outcomes], "another worker", 50)
        claimed_by_others.append(len(claimed))
        raise DatabaseUnavailableError("could not extend file: No space left on device")

    monkeypatch.setattr(recorder, "_write", refused)
    return claimed_by_others


def test_a_worker_that_waits_to_record_outcomes_keeps_its_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(3))) as it:
        job_id, messages = dispatched(it)
        claimed_by_others = refuse_outcomes(it, monkeypatch, 200)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert len(claimed_by_others) > 100
        assert not any(claimed_by_others)
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, 1)] * 3


def test_outcomes_that_are_given_up_count_as_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(3))) as it:
        job_id, messages = dispatched(it)
        for _ in range(MAX_INTERRUPTIONS + 1):
            refuse_outcomes(it, monkeypatch, 1_000)
            with pytest.raises(DatabaseUnavailableError):
                it.app.worker.run(TASKS_QUEUE, received(messages))
            monkeypatch.undo()
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.RETRYING, 0)] * 3
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}
