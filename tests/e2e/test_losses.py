"""Lost messages and dead letters: the app's own timer and functions bring the job to its end."""

import pytest
from azure.servicebus import ServiceBusClient

from tests.e2e.checks import assert_all_completed
from tests.e2e.conftest import RunningApp, wait_for
from tests.support.waiting import wait_until

N = 3_000
TIMEOUT_SECONDS = 500


@pytest.mark.timeout(1_200)
def test_a_job_survives_a_broker_that_loses_every_message(idle_app: RunningApp) -> None:
    job_id = idle_app.client.submit("hello_world", {"n": N})
    wait_for(idle_app, job_id, lambda job: job["stages"][0]["batches_queued"] >= 10)
    idle_app.lose_all_messages()
    idle_app.kill_host()
    idle_app.start_host()
    idle_app.client.wait(job_id, TIMEOUT_SECONDS)
    assert_all_completed(idle_app.client, job_id, [N, N])
    assert "lost messages are resent" in idle_app.log_file.read_text()


@pytest.mark.timeout(1_200)
def test_tasks_whose_messages_died_run_all_the_same(idle_app: RunningApp) -> None:
    job_id = idle_app.client.submit("hello_world", {"n": N})
    wait_for(idle_app, job_id, lambda job: job["stages"][0]["batches_queued"] >= 10)
    idle_app.kill_host()
    buried = bury(idle_app, "sb-tasks", 150)
    idle_app.start_host()
    idle_app.client.wait(job_id, TIMEOUT_SECONDS)
    assert_all_completed(idle_app.client, job_id, [N, N])
    assert buried == 150
    wait_until(lambda: {counts.dead_letter for counts in idle_app.broker.queues()} == {0}, TIMEOUT_SECONDS)


def bury(app: RunningApp, queue: str, number: int) -> int:
    """Moves that many messages to the dead-letter queue; returns how many it has moved."""
    buried = 0
    with (
        ServiceBusClient.from_connection_string(app.broker.connection_string) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        while buried < number:
            messages = receiver.receive_messages(number - buried, max_wait_time=60)
            assert messages, f"only {buried} messages were there"
            for message in messages:
                receiver.dead_letter_message(message, reason="buried", error_description="by a test")
            buried += len(messages)
    return buried
