"""Each end of a job is told to the queue of `JOB_EVENTS`, at least once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from controllers import authoring as lockstep
from core.errors import QueueUnavailableError
from core.job_waits import StartConditions
from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage
from core.statuses import JobStatus
from repositories.ports import SendResult
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job

QUEUE = "job-events"
_LONG = 1_000.0


def told(it: Stand) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in it.queue.receive(QUEUE)]


def fails(context: lockstep.TaskContext, parameters: Mapping[str, Any]) -> lockstep.JsonValue:
    raise lockstep.PermanentTaskError("a secret")


def test_the_end_is_told_as_a_cloud_event() -> None:
    with stand(sample_job(counted(3)), job_events=QUEUE, site_name="my-app") as it:
        job_id = it.submit("sample")
        it.pump()
        (message,) = it.queue.receive(QUEUE)
        ended_at = it.job(job_id).finished_at
        assert ended_at is not None
        event = json.loads(message.body)
        assert message.content_type == "application/cloudevents+json"
        assert message.message_id == event["id"]
        assert event["id"].startswith(job_id)
        assert {name: value for name, value in event.items() if name != "id"} == {
            "specversion": "1.0",
            "source": "/lockstep/my-app",
            "type": "lockstep.job.completed",
            "subject": job_id,
            "time": ended_at.isoformat(),
            "datacontenttype": "application/json",
            "data": {
                "job_id": job_id,
                "job_type": "sample",
                "status": "completed",
                "stage": 1,
                "opening": 0,
                "tasks": {"completed": 3, "failed": 0, "cancelled": 0},
            },
        }
        it.clock.advance(_LONG)
        assert it.app.sweeper.sweep().notices == 0


@pytest.mark.parametrize(
    ("tolerated", "status"), [(0.0, "lockstep.job.failed"), (1.0, "lockstep.job.completed_with_errors")]
)
def test_a_failure_is_told_without_its_error_and_a_retry_ends_anew(tolerated: float, status: str) -> None:
    stages = (lockstep.StageSpec("only", max_failed_fraction=tolerated),)
    with stand(sample_job(counted(1), fails, stages=stages), job_events=QUEUE) as it:
        job_id = it.submit("sample")
        it.pump()
        it.app.reopener.retry(job_id)
        it.clock.advance(1)
        it.pump()
        first, second = told(it)
        assert [first["type"], second["type"]] == [status, status]
        assert first["id"] != second["id"]
        assert (first["data"]["opening"], second["data"]["opening"]) == (0, 1)
        assert "secret" not in str(first)


def test_a_cancellation_is_told_once() -> None:
    with stand(sample_job(counted(1)), job_events=QUEUE) as it:
        job_id = it.submit("sample")
        it.app.canceller.cancel(job_id)
        it.app.canceller.cancel(job_id)
        it.pump()
        assert [event["type"] for event in told(it)] == ["lockstep.job.cancelled"]


def test_a_job_that_waited_in_vain_is_told() -> None:
    with stand(sample_job(counted(1)), job_events=QUEUE) as it:
        first = it.submit("sample")
        second = it.app.submitter.submit("sample", {}, "second", conditions=StartConditions(after=[first])).job_id
        it.app.canceller.cancel(first)
        assert sorted(event["subject"] for event in told(it)) == sorted([first, second])


def test_a_notice_that_the_broker_refuses_is_sent_by_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1)), job_events=QUEUE) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.queue.receive(TASKS_QUEUE)
        refuse = it.queue.batch_send_messages

        def refuse_events(queue: str, messages: list[OutgoingMessage]) -> Any:
            if queue == QUEUE:
                it.queue.failures.append(QueueUnavailableError("no"))
            return refuse(queue, messages)

        monkeypatch.setattr(it.queue, "batch_send_messages", refuse_events)
        it.app.canceller.cancel(job_id)
        assert told(it) == []
        it.clock.advance(_LONG)
        assert it.app.sweeper.sweep().notices == 0  # and the sweep does not fail
        monkeypatch.setattr(it.queue, "batch_send_messages", refuse)
        assert it.app.sweeper.sweep().notices == 0  # it is not overdue yet
        it.clock.advance(_LONG)
        assert it.app.sweeper.sweep().notices == 1
        assert [event["subject"] for event in told(it)] == [job_id]
        it.clock.advance(_LONG)
        assert it.app.sweeper.sweep().notices == 0


def refuse_events(it: Stand, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has the broker refuse the notices; returns how many it has refused, send by send."""
    send, refused = it.queue.batch_send_messages, list[int]()

    def refuse(queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if queue == QUEUE:
            refused.append(len(messages))
            return SendResult(success=False, sent=0, error=QueueUnavailableError("no"))
        return send(queue, messages)

    monkeypatch.setattr(it.queue, "batch_send_messages", refuse)
    return refused


def with_dependants(it: Stand, jobs: int) -> str:
    first = it.submit("sample")
    for number in range(jobs):
        conditions = StartConditions(after=[first])
        it.app.submitter.submit("sample", {}, f"dependant {number}", conditions=conditions)
    return first


def test_the_ends_of_a_job_and_its_dependants_are_told_in_one_send(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1)), job_events=QUEUE) as it:
        refused = refuse_events(it, monkeypatch)
        it.app.canceller.cancel(with_dependants(it, 5))
        assert refused == [6]


def test_the_sweep_tells_the_ends_of_waiting_jobs_in_one_send(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1)), job_events=QUEUE) as it:
        first = with_dependants(it, 5)
        refused = refuse_events(it, monkeypatch)
        with it.database.transaction() as work:
            work.jobs.finish(first, JobStatus.CANCELLED, None, None)
        it.clock.advance(_LONG)
        it.app.sweeper.sweep()
        assert refused == [5]


def test_without_the_setting_no_row_is_written() -> None:
    with stand(sample_job(counted(1))) as it:
        job_id = it.submit("sample")
        it.pump()
        with it.database.transaction() as work:
            assert work.notices.of_job(job_id) == []
