"""Messages of strangers whose bodies hide their own metadata: each is kept, and the messages behind it go on."""

import json

import httpx
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from tests.e2e.conftest import RunningApp
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 240
HIDING = {"v": 99, "DeliveryCount": "many"}
"""A function of single messages fails on it in azure-functions, before the app is called."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("queue", [JOBS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, BATCHES_QUEUE, LONG_TASKS_QUEUE])
def test_a_message_that_hides_its_metadata_is_kept_and_those_behind_it_go_on(
    shared_app: RunningApp, queue: str
) -> None:
    body = json.dumps({**HIDING, "queue": queue})
    with (
        ServiceBusClient.from_connection_string(shared_app.broker.connection_string) as client,
        client.get_queue_sender(queue) as sender,
    ):
        sender.send_messages([ServiceBusMessage(body, message_id=f"{queue} {number}") for number in range(3)])
    job_id = shared_app.client.submit("hello_world", {"n": 7, "name": queue})
    assert shared_app.client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"

    def kept() -> list[str]:
        url = f"{shared_app.host.base_url}/api/dead-letters?include=body"
        letters = httpx.get(url, timeout=60, trust_env=False).raise_for_status().json()["dead_letters"]
        return sorted(each["message_id"] for each in letters if each["body"] == body)

    wait_until(lambda: len(kept()) == 3, TIMEOUT_SECONDS)
    wait_until(lambda: {counts.dead_letter for counts in shared_app.broker.queues()} == {0}, TIMEOUT_SECONDS)
