"""The story of a job: a handful of events for each stage, whatever happens, and never one for a task."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from controllers.base import JobController, StageSpec
from controllers.context import JobContext, JobParameters, JsonValue, StageContext, TaskContext
from controllers.task_type import TaskType
from core.definitions import TaskDefinition
from core.errors import JobFailure, PermanentTaskError, QueueUnavailableError
from core.job_events import JobEvent
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import ReceivedMessage
from engine.process.keeping import UNREADABLE, keep
from engine.repair.dead_letters import MAX_RESENDS
from tests.support.drive import Stand, received, stand
from tests.support.sample_jobs import TASK_TYPE, counted, sample_job
from tests.unit.engine.repair.support import REASON, dead, dispatched, kill

_LONG = 1_000.0


def events(it: Stand, job_id: str) -> list[JobEvent]:
    return it.app.status.events(job_id, 0, 1_000)


def story(it: Stand, job_id: str) -> list[str]:
    """The events of a job as `kind stage.opening`."""
    return [f"{event.kind} {event.stage}.{event.opening}" for event in events(it, job_id)]


def fails(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    raise PermanentTaskError("no")


def test_a_job_tells_a_handful_of_events_for_each_stage() -> None:
    with stand(sample_job(counted(1_000, 5), stages=(StageSpec("many"), StageSpec("few")))) as it:
        job_id = it.submit("sample")
        it.submit("sample")
        it.pump()
        assert story(it, job_id) == [
            "submitted 0.0",
            *("stage_started 1.0", "stage_dispatched 1.0", "stage_finished 1.0"),
            *("stage_started 2.0", "stage_dispatched 2.0", "stage_finished 2.0"),
            "completed 2.0",
        ]
        assert [dict(event.details) for event in events(it, job_id)[:4]] == [
            {"job_type": "sample"},
            {"name": "many"},
            {"tasks": 1_000, "batches": 10},
            {"completed": 1_000, "failed": 0, "cancelled": 0},
        ]


def test_a_job_that_fails_and_is_retried_tells_why_and_what_followed() -> None:
    with stand(sample_job(counted(3), fails)) as it:
        job_id = it.submit("sample")
        it.pump()
        it.app.reopener.retry(job_id)
        it.pump()
        assert story(it, job_id) == [
            *("submitted 0.0", "stage_started 1.0", "stage_dispatched 1.0", "stage_failed 1.0", "failed 1.0"),
            *("retried 1.1", "stage_dispatched 1.1", "stage_failed 1.1", "failed 1.1"),
        ]
        failed = [event for event in events(it, job_id) if event.kind == "failed"]
        assert {event.details["error"]["type"] for event in failed} == {"StageFailedError"}
        assert "no" in failed[0].details["error"]["message"]


def test_a_job_that_is_cancelled_tells_that_it_was_asked_and_that_its_tasks_have_ended() -> None:
    with stand(sample_job(counted(250))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.canceller.cancel(job_id)
        it.app.canceller.cancel(job_id)
        it.pump()
        assert story(it, job_id)[3:] == ["cancelled 1.0", "stage_cancelled 1.0", "tasks_ended 1.0"]
        stopped, ended = events(it, job_id)[-2:]
        assert stopped.details["open_batches"] == 3
        assert ended.details == {"completed": 0, "failed": 0, "cancelled": 250}
        it.app.reopener.resume(job_id)
        it.pump()
        assert story(it, job_id)[6:] == [
            *("resumed 1.1", "stage_dispatched 1.1", "stage_finished 1.1", "completed 1.1"),
        ]


def test_a_job_whose_controller_gives_up_tells_its_reason() -> None:
    def gives_up(job: JobContext[Any], stage: StageContext) -> list[TaskDefinition]:
        raise JobFailure("there is no such file")

    with stand(sample_job(gives_up)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert story(it, job_id)[-2:] == ["failed 1.0", "stage_failed 1.0"]
        assert events(it, job_id)[-2].details["error"] == {
            "type": "JobFailure",
            "message": "there is no such file",
            "stage": 1,
        }


def test_the_reason_of_a_failure_does_not_show_a_secret() -> None:
    class Parameters(JobParameters):
        token: SecretStr

    class Secretive(JobController[Parameters]):
        job_type = "secretive"
        stages = (StageSpec("only"),)
        task_types = (TaskType(TASK_TYPE, fails),)

        def create_stage_tasks(self, job: JobContext[Parameters], stage: StageContext) -> list[TaskDefinition]:
            raise JobFailure(f"{job.parameters.token.get_secret_value()} is refused by https://host/a?sig=abc")

    with stand(Secretive) as it:
        job_id = it.submit("secretive", token="pssst-pssst")
        it.pump()
        with it.database.transaction() as work:
            stored = str(work.events.page(job_id, 0, 100))
        assert "pssst" not in stored
        assert "sig=abc" not in stored
        assert "is refused by" in stored


def test_repairs_that_repeat_for_days_are_told_in_one_event() -> None:
    with stand(sample_job(counted(250))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        for _ in range(20):
            it.queue.receive(TASKS_QUEUE)
            it.clock.advance(300 * _LONG)
            it.app.sweeper.sweep()
        repaired = [event for event in events(it, job_id) if event.kind == "repaired"]
        assert [(event.subject, event.times) for event in repaired] == [("silent_tasks", 20)]
        assert repaired[0].details == {"messages": 5_000}
        assert repaired[0].at < repaired[0].last_at


def test_batches_that_the_sweeper_sends_are_told_in_one_event() -> None:
    with stand(sample_job(counted(250))) as it:
        job_id = it.submit("sample")
        it.queue.failures.extend(QueueUnavailableError("away") for _ in range(3))
        it.deliver_job_messages()
        it.queue.receive(JOBS_QUEUE)
        it.clock.advance(_LONG)
        it.app.sweeper.sweep()
        repaired = {event.subject: event for event in events(it, job_id) if event.kind == "repaired"}
        assert repaired["pending_batches"].times == 3
        assert repaired["pending_batches"].details == {"messages": 250}


def test_a_dispatcher_that_sends_its_own_pending_batches_is_no_repair() -> None:
    with stand(sample_job(counted(250))) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("away"))
        it.pump_through_time()
        assert story(it, job_id)[-1] == "completed 1.0"
        assert "repaired 1.0" not in story(it, job_id)


def test_a_dead_letter_of_a_job_is_told_to_it() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        it.app.dead_letters.task(TASKS_QUEUE, dead(kill(it, message, MAX_RESENDS)))
        (letter,) = [event for event in events(it, job_id) if event.kind == "dead_letter"]
        assert (letter.stage, letter.subject, letter.times) == (1, REASON, 1)
        assert letter.details["queue"] == TASKS_QUEUE


def test_a_dead_letter_of_sb_jobs_is_told_to_its_job_and_an_unreadable_one_to_nobody() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        (message,) = it.queue.receive(JOBS_QUEUE)
        keep(it.database, JOBS_QUEUE, received([message])[0], "gone", "why")
        keep(it.database, JOBS_QUEUE, ReceivedMessage(b'{"job_id": "' + job_id.encode()), UNREADABLE, "why")
        assert story(it, job_id) == ["submitted 0.0", "dead_letter 1.0"]
        assert len(it.dead_letters()) == 2
