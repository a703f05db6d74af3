"""What a stage with envelopes shares with others: the sweeper's queues, the room of a dispatch, tasks one by one."""

import pytest

from controllers.base import StageSpec
from core.errors import QueueNotFoundError, QueueUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE, MessagePer, Transport
from core.messages import JobAction
from core.statuses import JobStatus
from tests.support.drive import job_messages, received, stand
from tests.support.sample_jobs import counted, sample_job

ENVELOPED = (StageSpec("only", message_per=MessagePer.BATCH),)
AHEAD = 300


@pytest.mark.parametrize("first", [True, False])
def test_a_queue_that_refuses_batches_does_not_keep_the_sweeper_from_those_of_another_queue(*, first: bool) -> None:
    """One job has an envelope, the other a task that is queued by itself, in the same lane."""
    with stand(sample_job(counted(1), stages=ENVELOPED)) as it:
        for in_batches in (first, not first):
            it.submit("sample", use_service_bus=in_batches)
            it.queue.failures.append(QueueUnavailableError("full"))
            it.deliver_job_messages()
            it.clock.advance(500)
            it.queue.receive(JOBS_QUEUE)  # the dispatch does not go on
        it.queue.failures.append(QueueNotFoundError("there is no such queue"))
        it.app.sweeper.sweep()
        assert (it.queue.size(BATCHES_QUEUE), it.queue.size(TASKS_QUEUE)) == ((0, 1) if first else (1, 0))


def test_an_envelope_of_ended_tasks_repeats_the_lost_message_of_a_dispatch_that_has_room_again() -> None:
    with stand(sample_job(counted(1_000), stages=ENVELOPED), dispatch_ahead=AHEAD) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        envelopes = received(it.queue.receive(BATCHES_QUEUE))
        assert len(envelopes) == AHEAD / 100
        for envelope in envelopes[:2]:
            it.app.worker.run_batch(envelope)
        assert len(it.queue.receive(JOBS_QUEUE)) == 1  # and is lost
        it.app.worker.run_batch(envelopes[0])  # is delivered again
        (again,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert again.action == JobAction.DISPATCH
        it.app.stages.handle(again)
        assert len(it.tasks(job_id)) > AHEAD


@pytest.mark.parametrize("declared", [None, *MessagePer])
def test_over_storage_queues_a_stage_has_envelopes_unless_it_says_otherwise(declared: MessagePer | None) -> None:
    stages = (StageSpec("only", message_per=declared),)
    with stand(sample_job(counted(3), stages=stages), message_transport=Transport.STORAGE) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        expected = (3, 0) if declared == MessagePer.TASK else (0, 1)
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(BATCHES_QUEUE)) == expected
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_tasks_that_are_queued_one_by_one_have_no_envelopes() -> None:
    with stand(sample_job(counted(3), stages=ENVELOPED)) as it:
        job_id = it.submit("sample", use_service_bus=False)
        it.deliver_job_messages()
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(BATCHES_QUEUE)) == (3, 0)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
