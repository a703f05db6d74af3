"""Jobs that wait: for a time, for other jobs, and for an exclusive key."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from controllers.base import JobController
from controllers.context import JsonValue, TaskContext
from core.errors import (
    ControllerError,
    DatabaseUnavailableError,
    ExclusiveJobError,
    InvalidInputError,
    PermanentTaskError,
    QueueUnavailableError,
)
from core.job_waits import StartConditions
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.statuses import JobStatus
from engine.repair.sweeper import SweepReport
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import SampleParameters, counted, sample_job
from tests.unit.engine.repair.support import dead


def fails_if_asked(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if context.job_parameters.label.startswith("bad"):
        raise PermanentTaskError("no")
    return None


def keyed(mode: str = "wait") -> type[JobController[Any]]:
    """The key of a job is what follows the hyphen in its label; tasks of a job whose label begins with "bad" fail."""

    class Keyed(sample_job(counted(2), fails_if_asked)):  # type: ignore[misc] # a class that a function makes
        when_exclusive = mode

        def exclusive_key(self, parameters: SampleParameters) -> str | None:
            return parameters.label.partition("-")[2] or None

    return Keyed


@pytest.fixture
def it() -> Iterator[Stand]:
    with stand(keyed()) as it:
        yield it


def submit(it: Stand, label: str, *after: str, start_in: float | None = None) -> str:
    start_at = None if start_in is None else it.clock.now() + timedelta(seconds=start_in)
    conditions = StartConditions(start_at, tuple(after))
    return it.app.submitter.submit("sample", {"label": label}, conditions=conditions).job_id


def status(it: Stand, job_id: str) -> JobStatus:
    return it.job(job_id).status


def kinds(it: Stand, job_id: str) -> list[str]:
    with it.database.transaction() as work:
        return [event.kind.value for event in work.events.page(job_id, 0, 100)]


# --- exclusive keys ---------------------------------------------------------------------------


def test_a_job_waits_while_another_holds_its_key_and_then_begins_at_once(it: Stand) -> None:
    first, second, other = submit(it, "a-table"), submit(it, "b-table"), submit(it, "c-view")
    assert [status(it, each) for each in (first, second, other)] == ["queued", "waiting", "queued"]
    it.pump()
    assert [status(it, each) for each in (first, second, other)] == [JobStatus.COMPLETED] * 3
    assert "waiting" not in kinds(it, first)
    assert kinds(it, second)[:4] == ["submitted", "waiting", "released", "stage_started"]


def test_jobs_that_wait_for_a_key_take_it_in_the_order_of_their_submission(it: Stand) -> None:
    jobs = [submit(it, f"{letter}-table") for letter in "abcd"]
    for number in range(len(jobs)):
        assert [status(it, each) for each in jobs[number:]] == ["queued"] + ["waiting"] * (len(jobs) - number - 1)
        it.app.canceller.cancel(jobs[number])
    assert [status(it, each) for each in jobs] == [JobStatus.CANCELLED] * 4


def test_a_controller_may_refuse_a_job_while_another_holds_its_key() -> None:
    with stand(keyed("refuse")) as it:
        first = submit(it, "a-table")
        with pytest.raises(ExclusiveJobError) as caught:
            submit(it, "b-table")
        assert caught.value.holder == first
        assert submit(it, "a-table") == first
        it.pump()
        assert status(it, submit(it, "b-table")) == JobStatus.QUEUED


def test_a_cancelled_job_keeps_its_key_until_its_last_task_has_ended(it: Stand) -> None:
    first, second = submit(it, "a-table"), submit(it, "b-table")
    it.deliver_job_messages()
    messages = it.queue.receive(TASKS_QUEUE)
    with it.database.transaction() as work:
        assert len(work.tasks.claim([task.task_id for task in it.tasks(first)][:1], "running", 60)) == 1
    it.app.canceller.cancel(first)
    it.pump()
    assert status(it, second) == JobStatus.WAITING
    assert it.app.sweeper.sweep() == SweepReport()
    it.clock.advance(61)
    it.app.worker.run(TASKS_QUEUE, received(messages))
    it.app.sweeper.sweep()
    it.pump()
    assert status(it, second) == JobStatus.COMPLETED


def test_a_job_that_fails_releases_its_key(it: Stand) -> None:
    first, second = submit(it, "bad-table"), submit(it, "b-table")
    it.pump()
    assert (status(it, first), status(it, second)) == (JobStatus.FAILED, JobStatus.COMPLETED)


def test_a_retry_takes_the_key_again_or_is_refused(it: Stand) -> None:
    first, second = submit(it, "bad-table"), submit(it, "b-table")
    it.deliver_job_messages()
    it.deliver_task_messages()
    it.deliver_job_messages()
    it.app.sweeper.sweep()
    assert (status(it, first), status(it, second)) == (JobStatus.FAILED, JobStatus.QUEUED)
    with pytest.raises(ExclusiveJobError) as caught:
        it.app.reopener.retry(first)
    assert (caught.value.holder, status(it, first)) == (second, JobStatus.FAILED)
    it.pump()
    it.app.reopener.retry(first)
    assert status(it, submit(it, "c-table")) == JobStatus.WAITING


def test_a_key_that_a_job_type_makes_wrong_is_its_error() -> None:
    class Wrong(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
        def exclusive_key(self, parameters: SampleParameters) -> str | None:
            return parameters.label * 300

    with stand(Wrong) as it, pytest.raises(ControllerError):
        submit(it, "a")


# --- start_at ---------------------------------------------------------------------------------


def test_a_job_begins_at_its_time(it: Stand) -> None:
    job_id = submit(it, "free", start_in=600)
    it.pump()
    assert (status(it, job_id), it.queue.scheduled(JOBS_QUEUE)[0].enqueue_at) == (
        JobStatus.WAITING,
        it.clock.now() + timedelta(seconds=600),
    )
    it.clock.advance(599)
    it.app.stages.handle(JobMessage(job_id, 1, JobAction.DISPATCH))
    it.app.sweeper.sweep()
    assert status(it, job_id) == JobStatus.WAITING
    it.clock.advance(1)
    it.pump()
    assert status(it, job_id) == JobStatus.COMPLETED


def test_a_time_that_has_passed_begins_at_once(it: Stand) -> None:
    assert status(it, submit(it, "free", start_in=-600)) == JobStatus.QUEUED


def test_a_far_time_has_no_message_and_is_found_by_the_sweeper(it: Stand) -> None:
    job_id = submit(it, "free", start_in=10 * 86_400)
    assert not it.queue.scheduled(JOBS_QUEUE)
    it.clock.advance(10 * 86_400)
    assert it.app.sweeper.sweep() == SweepReport(waiting=1)
    it.pump()
    assert status(it, job_id) == JobStatus.COMPLETED


def test_a_job_whose_time_has_come_waits_for_its_key(it: Stand) -> None:
    later = submit(it, "a-table", start_in=60)
    now = submit(it, "b-table")
    assert (status(it, later), status(it, now)) == (JobStatus.WAITING, JobStatus.QUEUED)
    it.clock.advance(60)
    it.app.sweeper.sweep()
    assert status(it, later) == JobStatus.WAITING
    it.pump()
    assert status(it, later) == JobStatus.COMPLETED


# --- after ------------------------------------------------------------------------------------


def test_a_job_begins_when_those_before_it_have_completed(it: Stand) -> None:
    first, second = submit(it, "free 1"), submit(it, "free 2")
    third = submit(it, "free 3", first, second)
    fourth = submit(it, "free 4", third)
    assert [status(it, each) for each in (third, fourth)] == [JobStatus.WAITING] * 2
    it.pump()
    assert [status(it, each) for each in (third, fourth)] == [JobStatus.COMPLETED] * 2


def test_a_job_after_one_that_has_completed_begins_at_once(it: Stand) -> None:
    first = submit(it, "free 1")
    it.pump()
    assert status(it, submit(it, "free 2", first)) == JobStatus.QUEUED


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_jobs_after_one_that_does_not_complete_are_cancelled_with_the_reason(it: Stand, how: str) -> None:
    first = submit(it, "bad-")
    chain = [first]
    for number in range(50):
        chain.append(submit(it, f"free {number}", chain[-1]))
    if how == "cancelled":
        it.app.canceller.cancel(first)
    it.pump()
    assert {status(it, each) for each in chain[1:]} == {JobStatus.CANCELLED}
    errors = [(it.job(each).error or {}) for each in chain[1:3]]
    assert [error["type"] for error in errors] == ["DependencyFailedError"] * 2
    assert errors[0]["message"].startswith(f"job {first}, after which it was to start, is {how}")
    assert chain[1] in errors[1]["message"]


def test_a_chain_of_any_length_is_cancelled(it: Stand) -> None:
    chain = [submit(it, "free")]
    for number in range(400):
        chain.append(submit(it, f"free {number}", chain[-1]))
    it.app.canceller.cancel(chain[0])
    assert status(it, chain[-1]) == JobStatus.WAITING  # the request has cancelled some, and leaves the others
    it.app.sweeper.sweep()
    assert {status(it, each) for each in chain} == {JobStatus.CANCELLED}


def test_a_job_after_one_that_does_not_exist_is_refused(it: Stand) -> None:
    with pytest.raises(InvalidInputError, match="there is no job 00000000") as caught:
        submit(it, "free", "0" * 32)
    assert [error.field for error in caught.value.errors] == ["after"]


def test_a_job_cannot_wait_for_itself(it: Stand) -> None:
    """So there are no cycles: the jobs before a job exist before it does."""
    with stand(keyed()) as other:
        job_id = submit(other, "free")
    with pytest.raises(InvalidInputError, match="there is no job"):
        submit(it, "free", job_id)
    assert submit(it, "free") == job_id


def test_the_same_submission_again_is_the_same_job_and_keeps_its_first_conditions(it: Stand) -> None:
    first = submit(it, "free 1", start_in=600)
    assert submit(it, "free 1", "0" * 32) == first
    assert status(it, first) == JobStatus.WAITING


# --- what is killed or refused ----------------------------------------------------------------


def test_a_job_whose_message_is_refused_is_released_and_sent_later(it: Stand) -> None:
    first, second = submit(it, "free 1"), submit(it, "a-table")
    third = submit(it, "b-table")
    it.app.canceller.cancel(first)
    it.queue.failures.append(QueueUnavailableError("away"))
    it.app.canceller.cancel(second)
    assert status(it, third) == JobStatus.PENDING_QUEUE
    it.clock.advance(61)
    it.app.sweeper.sweep()
    it.pump()
    assert status(it, third) == JobStatus.COMPLETED


def test_what_waits_for_a_job_is_found_by_the_sweeper_when_its_end_is_cut_off(it: Stand) -> None:
    first = submit(it, "a-table")
    second, third = submit(it, "b-table"), submit(it, "free", first)
    with it.database.transaction() as work:  # the end of a process that dies after its commit
        assert work.jobs.finish(first, JobStatus.FAILED, None, '{"type": "E", "message": "no"}')
        work.waits.release_key(first)
    assert it.app.sweeper.sweep() == SweepReport(waiting=2)
    assert (status(it, second), status(it, third)) == (JobStatus.QUEUED, JobStatus.CANCELLED)


def test_a_key_that_a_host_without_keys_has_left_is_released_by_the_sweeper(it: Stand) -> None:
    first, second = submit(it, "a-table"), submit(it, "b-table")
    with it.database.transaction() as work:
        assert work.jobs.finish(first, JobStatus.CANCELLED, None, None)
    assert it.app.sweeper.sweep() == SweepReport(waiting=2)
    assert status(it, second) == JobStatus.QUEUED


def test_an_error_after_the_end_of_a_job_does_not_fail_the_request(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = submit(it, "a-table"), submit(it, "b-table")

    def refuse(*_: object) -> None:
        raise DatabaseUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr("tests.fakes.job_waits.FakeJobWaitRepository.candidates_after", refuse)
        assert it.app.canceller.cancel(first) == JobStatus.CANCELLED
    assert status(it, second) == JobStatus.WAITING
    it.app.sweeper.sweep()
    assert status(it, second) == JobStatus.QUEUED


# --- cancel, resume, prune --------------------------------------------------------------------


def test_a_job_that_waits_is_cancelled_with_those_after_it_and_resumed_without_its_time(it: Stand) -> None:
    first = submit(it, "a-table", start_in=600)
    second = submit(it, "free", first)
    assert it.app.canceller.cancel(first) == JobStatus.CANCELLED
    assert status(it, second) == JobStatus.CANCELLED
    assert it.app.reopener.resume(first) == JobStatus.PENDING_QUEUE
    assert it.app.reopener.resume(second) == JobStatus.WAITING
    it.pump()
    assert [status(it, each) for each in (first, second)] == [JobStatus.COMPLETED] * 2


def test_a_job_that_had_not_begun_waits_for_its_key_when_it_is_resumed(it: Stand) -> None:
    first = submit(it, "a-table")
    it.app.canceller.cancel(first)
    second = submit(it, "b-table")
    assert it.app.reopener.resume(first) == JobStatus.WAITING
    it.pump()
    assert [status(it, each) for each in (first, second)] == [JobStatus.COMPLETED] * 2


def test_a_resumed_job_whose_predecessor_failed_is_cancelled_again(it: Stand) -> None:
    first = submit(it, "bad-")
    second = submit(it, "free", first)
    it.pump()
    assert it.app.reopener.resume(second) == JobStatus.CANCELLED


def test_a_completed_job_before_it_may_be_deleted_while_a_job_waits(it: Stand) -> None:
    first = submit(it, "free 1")
    second = submit(it, "free 2", first, start_in=100 * 86_400)
    it.pump()
    it.clock.advance(50 * 86_400)
    assert it.app.pruner.prune().jobs == 1
    it.clock.advance(50 * 86_400)
    it.app.sweeper.sweep()
    it.pump()
    assert status(it, second) == JobStatus.COMPLETED


def test_the_status_of_a_job_says_what_it_waits_for(it: Stand) -> None:
    first, second = submit(it, "a-table"), submit(it, "free")
    third = submit(it, "b-table", second, start_in=600)
    waits = it.app.status.job(third).waits_for
    assert waits is not None
    assert waits.start_at == it.clock.now() + timedelta(seconds=600)
    assert [each.job_id for each in waits.open_after] == [second]
    assert (waits.exclusive_key, waits.key_holder) == ("table", first)
    assert it.app.status.job(first).waits_for is None


def test_a_dead_message_of_a_job_that_waits_is_dropped(it: Stand) -> None:
    job_id = submit(it, "free", start_in=600)
    (message,) = it.queue.scheduled(JOBS_QUEUE)
    it.app.dead_letters.job(dead(message))
    assert (status(it, job_id), it.dead_letters()) == (JobStatus.WAITING, [])
