import pytest

from controllers.base import StageSpec
from core.errors import JobNotFoundError
from core.lanes import TASKS_QUEUE
from core.statuses import JobStatus, TaskStatus
from tests.support.drive import received, stand
from tests.support.sample_jobs import counted, sample_job

TWO = (StageSpec("first"), StageSpec("second"))


def test_a_job_that_has_not_begun_has_made_no_progress() -> None:
    with stand(sample_job(counted(1))) as it:
        view = it.app.status.job(it.submit("sample"))
        assert (view.job.status, view.stages, view.progress) == (JobStatus.QUEUED, [], 0.0)


def test_progress_follows_the_tasks_that_have_ended() -> None:
    with stand(sample_job(counted(400, 1), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.clock.advance(50)
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)[:100]))

        view = it.app.status.job(job_id)
        assert view.progress == pytest.approx(1 / 8)  # a quarter of the first of two stages
        (stage,) = view.stages
        assert (stage.counts.completed, stage.counts.queued, stage.counts.tasks) == (100, 300, 400)


def test_counts_tell_the_states_of_live_tasks_apart() -> None:
    with stand(sample_job(counted(100))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with it.database.transaction() as work:
            work.tasks.claim([task.task_id for task in it.tasks(job_id)[:7]], "a worker", 50)
        counts = it.app.status.job(job_id).stages[0].counts
        assert (counts.tasks, counts.processing, counts.queued, counts.ended) == (100, 7, 93, 0)


def test_tasks_are_listed_page_by_page_and_by_status() -> None:
    with stand(sample_job(counted(5))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        first = it.app.status.tasks(job_id, None, "", 3)
        second = it.app.status.tasks(job_id, None, first[-1].task_id, 3)
        assert [task.task_index for task in first + second] == [0, 1, 2, 3, 4]
        assert it.app.status.tasks(job_id, TaskStatus.FAILED, "", 3) == []
        assert len(it.app.status.tasks(job_id, TaskStatus.QUEUED, "", 100)) == 5


def test_batches_are_listed_across_stages() -> None:
    with stand(sample_job(counted(150, 1), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.pump()
        batches = it.app.status.batches(job_id, (1, 0), 10)
        assert [(batch.stage, batch.batch_index) for batch in batches] == [(1, 1), (2, 0)]


def test_a_job_that_does_not_exist_is_not_found() -> None:
    with stand(sample_job(counted(1))) as it:
        with pytest.raises(JobNotFoundError):
            it.app.status.job("f" * 32)
        with pytest.raises(JobNotFoundError):
            it.app.status.batches("f" * 32, (0, 0), 1)
        with pytest.raises(JobNotFoundError):
            it.app.status.tasks("f" * 32, None, "", 1)


def test_a_stage_that_has_ended_counts_in_full() -> None:
    with stand(sample_job(counted(2, 4), stages=TWO)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.deliver_job_messages()
        assert it.app.status.job(job_id).progress == pytest.approx(0.5)
