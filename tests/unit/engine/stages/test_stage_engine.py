"""Messages of sb-jobs that arrive twice or late, or whose controller raises."""

import logging
from collections.abc import Iterator

import pytest

from controllers.base import StageSpec
from controllers.context import JobContext, StageContext
from core.definitions import TaskDefinition
from core.errors import JobFailure, JobNotFoundError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.models import Job, Stage, StageKey, StageOpening
from core.statuses import JobStatus, StageStatus
from engine.jobs.end_hooks import EndHooks
from engine.jobs.waiting_jobs import WaitingJobs
from engine.process.job_secrets import JobSecrets
from engine.stages import stage_engine
from engine.stages.job_endings import JobEndings
from engine.stages.step import Step, next_step
from tests.support.drive import Stand, job_messages, second_process, stand
from tests.support.sample_jobs import SampleParameters, Tasks, counted, sample_job

TWO = (StageSpec("first"), StageSpec("second"))
NO_JOB = "f" * 32


def raises(error: Exception) -> Tasks:
    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        raise error
        yield

    return tasks


def send(it: Stand, job_id: str, action: JobAction, stage: int = 1) -> None:
    it.app.stages.handle(JobMessage(job_id, stage, action))


def test_a_message_for_a_job_that_does_not_exist_is_refused() -> None:
    with stand(sample_job(counted(1))) as it, pytest.raises(JobNotFoundError):
        send(it, NO_JOB, JobAction.DISPATCH)


def test_a_job_starts_even_when_its_message_overtook_its_status() -> None:
    with stand(sample_job(counted(1))) as it:
        with it.database.transaction() as work:
            work.jobs.create(NO_JOB, "sample", "{}", 1)
        send(it, NO_JOB, JobAction.DISPATCH)
        assert it.job(NO_JOB).status == JobStatus.PROCESSING


def test_every_message_of_a_job_may_come_twice() -> None:
    with stand(sample_job(counted(150, 3), stages=TWO)) as it:
        job_id = it.submit("sample")
        while messages := job_messages(it.queue.receive(JOBS_QUEUE)):
            for message in messages:
                it.app.stages.handle(message)
                it.app.stages.handle(message)
            it.deliver_task_messages()

        job = it.job(job_id)
        assert (job.status, job.result) == (JobStatus.COMPLETED, [150, 3])
        assert {task.attempt for task in it.tasks(job_id)} == {1}


def test_a_second_dispatch_of_a_running_stage_sends_nothing() -> None:
    with stand(sample_job(counted(5))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        send(it, job_id, JobAction.DISPATCH)
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(JOBS_QUEUE)) == (5, 0)


def test_advancing_a_stage_that_still_runs_changes_nothing() -> None:
    with stand(sample_job(counted(5, 5), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        send(it, job_id, JobAction.ADVANCE)
        assert (it.job(job_id).stage, it.stage(job_id).status) == (1, StageStatus.RUNNING)


def test_a_dispatch_of_a_stage_that_has_finished_makes_sure_that_it_advances() -> None:
    with stand(sample_job(counted(5, 5), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.queue.receive(JOBS_QUEUE)  # the message to advance is lost

        send(it, job_id, JobAction.DISPATCH)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_advancing_twice_makes_sure_that_the_next_stage_is_dispatched() -> None:
    with stand(sample_job(counted(5, 5), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.queue.receive(JOBS_QUEUE)
        it.queue.failures.append(QueueUnavailableError("the next message is lost"))
        with pytest.raises(QueueUnavailableError):
            send(it, job_id, JobAction.ADVANCE)
        assert it.job(job_id).stage == 2

        send(it, job_id, JobAction.ADVANCE)
        it.pump()
        assert it.job(job_id).result == [5, 5]


@pytest.mark.parametrize(
    ("action", "stage"), [(JobAction.DISPATCH, 1), (JobAction.ADVANCE, 3), (JobAction.DISPATCH, 3)]
)
def test_a_message_for_another_stage_than_the_current_is_ignored(action: JobAction, stage: int) -> None:
    with stand(sample_job(counted(1, 2), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.deliver_job_messages()
        assert it.job(job_id).stage == 2
        it.queue.receive(JOBS_QUEUE)

        send(it, job_id, action, stage)
        assert (it.queue.size(JOBS_QUEUE), it.queue.size(TASKS_QUEUE)) == (0, 0)
        assert it.job(job_id).stage == 2


@pytest.mark.parametrize("action", list(JobAction))
def test_a_job_that_has_ended_ignores_every_message(action: JobAction) -> None:
    with stand(sample_job(counted(1, 1), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.pump()
        before = it.job(job_id)
        for stage in (1, 2):
            send(it, job_id, action, stage)
        assert it.job(job_id) == before
        assert it.queue.size(JOBS_QUEUE) == 0


def test_a_job_failure_ends_the_job_at_once_with_its_message() -> None:
    with stand(sample_job(raises(JobFailure("the file is gone")))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error == {"type": "JobFailure", "message": "the file is gone", "stage": 1}
        assert it.stage(job_id).status == StageStatus.FAILED


def endings_of(it: Stand) -> JobEndings:
    secrets, hooks = JobSecrets(it.database, it.app.registry), EndHooks(it.queue, it.app.registry)
    return JobEndings(it.database, it.queue, secrets, hooks, WaitingJobs(it.database, it.queue, hooks))


def test_a_job_ends_once() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.pump()
        ended = it.job(job_id)
        endings = endings_of(it)
        endings.fail(StageOpening(StageKey(job_id, 1), 0), JobFailure("too late"))
        endings.complete("sample", it.stage(job_id), "2", "2")
        assert it.job(job_id) == ended


def test_a_message_that_raises_unexpectedly_is_repeated_ever_later_and_then_fails_the_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with stand(sample_job(raises(ZeroDivisionError("oops")))) as it:
        job_id = it.submit("sample")
        waits = []
        it.deliver_job_messages()
        while it.queue.scheduled(JOBS_QUEUE):
            assert it.job(job_id).status == JobStatus.PROCESSING
            due_at = it.queue.scheduled(JOBS_QUEUE)[0].enqueue_at
            assert due_at is not None
            waits.append((due_at - it.clock.now()).total_seconds())
            it.clock.advance(waits[-1])
            it.deliver_job_messages()

        assert waits == [1, 2, 4, 8, 16, 32]
        job = it.job(job_id)
        assert job.status == JobStatus.FAILED
        assert job.error is not None
        assert (job.error["type"], job.error["message"], job.error["stage"]) == ("ZeroDivisionError", "oops", 1)
        assert "traceback" not in job.error
        assert len([line for line in caplog.messages if job_id in line and "in tasks" in line]) == 7


def test_no_number_of_outages_fails_a_job() -> None:
    with stand(sample_job(raises(QueueUnavailableError("away")))) as it:
        job_id = it.submit("sample")
        with pytest.raises(QueueUnavailableError):
            it.app.stages.handle(JobMessage(job_id, 1, JobAction.DISPATCH, failures=1_000))
        assert it.job(job_id).status == JobStatus.PROCESSING


def test_a_failed_dispatch_releases_its_lease() -> None:
    with stand(sample_job(raises(ZeroDivisionError("oops")))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with second_process(it, sample_job(counted(1))) as repaired:
            send(repaired, job_id, JobAction.DISPATCH)
            repaired.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_host_that_does_not_know_a_job_type_leaves_the_job_to_one_that_does() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        with second_process(it) as older:
            older.deliver_job_messages()
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_whose_type_no_host_knows_fails() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        with second_process(it) as older:
            older.pump_through_time()
        error = it.job(job_id).error
        assert error is not None
        assert error["type"] == "UnknownJobTypeError"


def test_a_dispatcher_that_was_taken_over_cannot_fail_the_job() -> None:
    with stand(lease_seconds=5) as shell:
        successor = sample_job(counted(1))

        def overtaken(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
            shell.clock.advance(6)
            with second_process(shell, successor) as other:
                send(other, job.job_id, JobAction.DISPATCH)
            raise JobFailure("said too late")
            yield

        with second_process(shell, sample_job(overtaken)) as zombie:
            job_id = zombie.submit("sample")
            zombie.deliver_job_messages()
            assert zombie.job(job_id).status == JobStatus.PROCESSING
            zombie.pump()
            assert zombie.job(job_id).status == JobStatus.COMPLETED


def test_a_failure_of_another_stage_than_the_current_one_does_not_fail_the_job() -> None:
    with stand(sample_job(counted(1, 1), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.deliver_job_messages()
        assert it.job(job_id).stage == 2

        for stage in (1, 50):
            endings_of(it).fail(StageOpening(StageKey(job_id, stage), 0), JobFailure("too late"))

        assert it.job(job_id).status == JobStatus.PROCESSING


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0), (0, 0)])
def test_a_job_goes_on_past_an_empty_stage(sizes: tuple[int, int]) -> None:
    with stand(sample_job(counted(*sizes), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.pump()
        job = it.job(job_id)
        assert (job.status, job.result) == (JobStatus.COMPLETED, list(sizes))
        assert [it.stage(job_id, number).total_tasks for number in (1, 2)] == list(sizes)


def test_a_job_that_is_cancelled_just_before_it_starts_does_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")

        def decide_and_cancel(message: JobMessage, job: Job, stage: Stage | None) -> Step:
            step = next_step(message, job, stage)
            if step == Step.START:
                it.app.canceller.cancel(job_id)
            return step

        monkeypatch.setattr(stage_engine, "next_step", decide_and_cancel)
        with caplog.at_level(logging.INFO):
            send(it, job_id, JobAction.DISPATCH)
        assert (it.job(job_id).status, it.stage_or_none(job_id)) == (JobStatus.CANCELLED, None)
        assert f"job {job_id} is cancelled at stage 0; dispatch of stage 1 is ignored" in caplog.text
