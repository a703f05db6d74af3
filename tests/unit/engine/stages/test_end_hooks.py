"""`job_ended` runs after each end of a job, at least once, and never changes the job."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controllers import authoring as lockstep
from core.errors import QueueUnavailableError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage
from core.statuses import JobStatus
from engine.stages.hook_runner import MAX_TRIES
from tests.support.drive import Stand, job_messages, second_process, stand
from tests.support.sample_jobs import counted, sample_job

Hook = Callable[[lockstep.JobOutcome], None]
_LONG = 1_000.0


def hooked(
    hook: Hook, handler: Any = lambda context, parameters: None, n: int = 3
) -> type[lockstep.JobController[Any]]:
    """A job type with this hook."""

    class Hooked(sample_job(counted(n), handler)):  # type: ignore[misc] # a class that a function makes
        def job_ended(self, job: lockstep.JobContext[Any], outcome: lockstep.JobOutcome) -> None:
            hook(outcome)

    return Hooked


def fails(context: lockstep.TaskContext, parameters: Mapping[str, Any]) -> lockstep.JsonValue:
    raise lockstep.PermanentTaskError("no")


def hook_events(it: Stand, job_id: str) -> list[tuple[str, int, int]]:
    """The events of a job's hook: kind, opening, times."""
    events = it.app.status.events(job_id, 0, 100)
    return [(event.kind.value, event.opening, event.times) for event in events if "hook" in event.kind]


def test_the_hook_runs_after_the_end_with_the_outcome() -> None:
    seen: list[lockstep.JobOutcome] = []
    with stand(hooked(seen.append)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert seen == [lockstep.JobOutcome(JobStatus.COMPLETED, [3], None)]
        assert hook_events(it, job_id) == [("end_hook_ran", 0, 1)]
        it.clock.advance(_LONG)
        assert it.app.sweeper.sweep().hooks == 0


def test_the_hook_runs_after_a_failure_and_again_after_the_retry() -> None:
    seen: list[str] = []
    with stand(hooked(lambda outcome: seen.append(outcome.status), fails)) as it:
        job_id = it.submit("sample")
        it.pump()
        it.app.reopener.retry(job_id)
        it.pump()
        assert seen == ["failed", "failed"]
        assert hook_events(it, job_id) == [("end_hook_ran", 0, 1), ("end_hook_ran", 1, 1)]


def test_the_hook_of_a_cancelled_job_waits_for_its_tasks() -> None:
    seen: list[str] = []
    with stand(hooked(lambda outcome: seen.append(outcome.status), n=250)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        first = it.queue.receive(TASKS_QUEUE)[0]
        with it.database.transaction() as work:
            (task,) = work.tasks.claim([received_id(first.message_id)], "somebody", 50)
        it.app.canceller.cancel(job_id)
        it.pump()
        assert seen == []
        it.clock.advance(60)
        it.app.sweeper.sweep()
        it.pump()
        it.clock.advance(60)
        it.app.sweeper.sweep()
        it.pump()
        assert (seen, task.job_id) == (["cancelled"], job_id)


def received_id(message_id: str) -> str:
    return message_id.partition(":")[0]


def test_the_hook_of_a_job_that_was_cancelled_before_it_began_runs() -> None:
    seen: list[str] = []
    with stand(hooked(lambda outcome: seen.append(outcome.status))) as it:
        job_id = it.submit("sample")
        it.app.canceller.cancel(job_id)
        it.pump()
        assert (seen, hook_events(it, job_id)) == (["cancelled"], [("end_hook_ran", 0, 1)])


def test_a_hook_that_fails_is_tried_again_and_leaves_the_job_as_it_is() -> None:
    errors = [ValueError("once"), SystemExit(1), lockstep.JobFailure("twice")]

    def hook(outcome: lockstep.JobOutcome) -> None:
        if errors:
            raise errors.pop(0)

    with stand(hooked(hook)) as it:
        job_id = it.submit("sample")
        it.pump()
        due = [message.enqueue_at for message in it.queue.scheduled(JOBS_QUEUE)]
        assert [(at - it.clock.now()).total_seconds() for at in due if at] == [10]
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert hook_events(it, job_id) == [("end_hook_failed", 0, 3), ("end_hook_ran", 0, 1)]
        (failed,) = [event for event in it.app.status.events(job_id, 0, 100) if event.kind == "end_hook_failed"]
        assert failed.details == {"error": {"type": "JobFailure", "message": "twice"}, "given_up": False}


def test_a_hook_that_always_fails_is_given_up() -> None:
    calls: list[str] = []

    def hook(outcome: lockstep.JobOutcome) -> None:
        calls.append(outcome.status)
        raise ValueError("no")

    with stand(hooked(hook)) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        it.clock.advance(10 * _LONG)
        assert it.app.sweeper.sweep().hooks == 0
        assert len(calls) == MAX_TRIES
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert hook_events(it, job_id) == [("end_hook_failed", 0, MAX_TRIES)]


def test_a_hook_that_kills_its_process_is_given_up() -> None:
    class ProcessKilledError(BaseException):
        pass

    def hook(outcome: lockstep.JobOutcome) -> None:
        raise ProcessKilledError

    with stand(hooked(hook)) as it:
        job_id = it.submit("sample")
        for _ in range(2 * MAX_TRIES):
            try:
                it.pump()
            except ProcessKilledError:
                it.clock.advance(_LONG)
            it.app.sweeper.sweep()
        assert hook_events(it, job_id) == [("end_hook_failed", 0, 1)]
        assert it.app.status.events(job_id, 0, 100)[-1].details["error"]["type"] == "HookInterruptedError"


def test_a_lost_message_of_a_hook_is_sent_by_the_sweeper() -> None:
    seen: list[str] = []
    with stand(hooked(lambda outcome: seen.append(outcome.status))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.queue.failures.append(QueueUnavailableError("away"))
        it.deliver_job_messages()
        assert (it.job(job_id).status, it.queue.size(JOBS_QUEUE), seen) == (JobStatus.COMPLETED, 0, [])
        it.clock.advance(60)
        assert it.app.sweeper.sweep().hooks == 1
        it.pump()
        assert seen == ["completed"]


def test_more_messages_run_the_hook_once() -> None:
    seen: list[str] = []
    with stand(hooked(lambda outcome: seen.append(outcome.status))) as it:
        job_id = it.submit("sample")
        it.pump()
        for action in JobAction:
            it.app.stages.handle(JobMessage(job_id, 1, action))
        assert seen == ["completed"]


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_job_type_without_a_hook_pays_nothing(status: str) -> None:
    with stand(sample_job(counted(3), fails) if status == "failed" else sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.deliver_job_messages()
        assert it.job(job_id).status == status
        assert [each for each in job_messages(it.queue.receive(JOBS_QUEUE)) if each.action != JobAction.CANCEL] == []
        with it.database.tables() as tables:
            assert tables.end_hooks.rows() == []


def test_a_failure_of_the_hook_shows_no_url_query() -> None:
    def hook(outcome: lockstep.JobOutcome) -> None:
        raise ValueError("https://host/a?sig=abc is gone")

    with stand(hooked(hook)) as it:
        job_id = it.submit("sample")
        it.pump()
        with it.database.transaction() as work:
            assert "sig=abc" not in str(work.events.page(job_id, 0, 100))


def test_a_hook_that_has_run_is_recorded_after_an_outage_and_not_run_again() -> None:
    seen: list[str] = []
    with stand(hooked(lambda outcome: seen.append(outcome.status))) as it:

        def hook(outcome: lockstep.JobOutcome) -> None:
            seen.append("away")
            it.database.go_away(10)

        with second_process(it, hooked(hook), outages=it.outages) as other:
            job_id = other.submit("sample")
            other.pump()
            assert seen == ["away"]
            assert hook_events(it, job_id) == [("end_hook_ran", 0, 1)]
