"""Unusable messages, sent to the real broker and received by the real host: each is kept once and unchanged."""

import base64
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import httpx
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.faults.bad_messages import (
    ROWLESS_ENVELOPES,
    ROWLESS_JOBS,
    ROWLESS_TASKS,
    RUBBISH,
    SPOILT_ENVELOPES,
    SPOILT_JOBS,
    SPOILT_TASKS,
    sample,
)
from tests.faults.figures import record
from tests.faults.sizes import size

_WAIT_SECONDS = size(600, 1_200)
_MAX_BYTES = 250_000
"""A little less than what the broker takes on Standard: 256 KB with the message's headers."""

_ODD_IDS = ("", "\0", "\N{CAT}", "x" * 100, "%s{0}")

Kept = Counter[tuple[str, str, bytes]]


def _bodies() -> dict[str, list[tuple[str, bytes]]]:
    """Bodies for each queue with the reasons for which they are kept."""
    many, some = size(30, 300), size(10, 100)
    unreadable = [("unreadable", body) for body in sample(RUBBISH, many) if len(body) < _MAX_BYTES]
    spoilt_tasks = [("unreadable", body) for body in sample(SPOILT_TASKS, many)]
    spoilt_envelopes = [("unreadable", body) for body in sample(SPOILT_ENVELOPES, many)]
    spoilt_jobs = [("unreadable", body) for body in sample(SPOILT_JOBS, many)]
    # Of two messages for one task an invocation keeps the one that was sent last.
    rowless_tasks = [("orphan", body) for body in sorted(set(sample(ROWLESS_TASKS, some)))]
    rowless_envelopes = [("orphan", body) for body in sorted(set(sample(ROWLESS_ENVELOPES, some)))]
    rowless_jobs = [("orphan", body) for body in sample(ROWLESS_JOBS, some)]
    return {
        JOBS_QUEUE: [*unreadable, *spoilt_jobs, *rowless_jobs],
        TASKS_QUEUE: [*unreadable, *spoilt_tasks, *rowless_tasks],
        URGENT_TASKS_QUEUE: [*unreadable, *spoilt_tasks, *rowless_tasks],
        BATCHES_QUEUE: [*unreadable, *spoilt_envelopes, *rowless_envelopes],
        LONG_TASKS_QUEUE: [*unreadable, *spoilt_tasks, *rowless_tasks],
    }


@pytest.fixture
def broker() -> Iterator[EmulatorProcess]:
    with EmulatorProcess.start() as broker:
        yield broker


@pytest.mark.timeout(2 * _WAIT_SECONDS)
def test_every_bad_message_is_kept_once_and_the_workers_live_on(database_url: str, broker: EmulatorProcess) -> None:
    bodies = _bodies()
    _send(broker, bodies)
    environment = {
        "DATABASE_URL": database_url,
        "ServiceBusConnection": broker.connection_string,
        "SWEEP_AGE_SECONDS": "3600",
    }
    with HostProcess.start(ROOT, env=environment) as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("hello_world", {"n": 150})
        _await_empty(broker)
        assert client.wait(job_id, _WAIT_SECONDS)["status"] == "completed"
        kept = _kept(host.base_url)
        assert client.wait(client.submit("hello_world", {"n": 5}), _WAIT_SECONDS)["status"] == "completed"
    # Each was sent twice: to the queue, and to its dead-letter queue.
    sent: Kept = Counter({(queue, *each): 0 for queue, found in bodies.items() for each in found})
    sent.update((queue, *each) for queue, found in bodies.items() for each in 2 * found)
    assert kept - sent == Counter()
    assert sent - kept == Counter()
    record("bad messages", sent=sent.total(), kept=kept.total())


def _send(broker: EmulatorProcess, bodies: dict[str, list[tuple[str, bytes]]]) -> None:
    """Sends everything twice and dead-letters the first copies, before the host starts."""
    with ServiceBusClient.from_connection_string(broker.connection_string) as client:
        for queue, found in bodies.items():
            with client.get_queue_sender(queue) as sender:
                _send_one_by_one(sender, _messages(found, "first"))
                _dead_letter(client, queue, len(found))
                _send_one_by_one(sender, _messages(found, "second"))


def _messages(found: Sequence[tuple[str, bytes]], copy: str) -> list[ServiceBusMessage]:
    """Each has an id of its own, or it is kept once."""
    return [
        ServiceBusMessage(body, message_id=f"{copy} {number}{_ODD_IDS[number % len(_ODD_IDS)]}")
        for number, (_, body) in enumerate(found)
    ]


def _send_one_by_one(sender: Any, messages: Sequence[ServiceBusMessage]) -> None:
    for message in messages:
        sender.send_messages(message)


def _dead_letter(client: ServiceBusClient, queue: str, count: int) -> None:
    with client.get_queue_receiver(queue) as receiver:
        while count:
            for message in receiver.receive_messages(100, max_wait_time=5):
                receiver.dead_letter_message(message, reason="no\0reason", error_description="\N{CAT}")
                count -= 1


def _await_empty(broker: EmulatorProcess) -> None:
    """Waits until no queue holds a message, visible, scheduled, locked or dead."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while any(_held(counts) for counts in broker.queues()):
        assert time.monotonic() < deadline, broker.queues()
        time.sleep(0.2)


def _held(counts: Any) -> int:
    return sum(value for value in vars(counts).values() if isinstance(value, int))


def _kept(base_url: str) -> Kept:
    """All dead letters of the API, read page by page."""
    kept: Kept = Counter()
    before: dict[str, int] = {}
    url = f"{base_url}/api/dead-letters"
    while True:
        page = httpx.get(url, params={"limit": 50, "include": "body", **before}, timeout=60, trust_env=False)
        answer = page.raise_for_status().json()
        for letter in answer["dead_letters"]:
            text, encoded = letter["body"], letter["body_base64"]
            body = text.encode() if encoded is None else base64.b64decode(encoded)
            kept[letter["queue"], letter["reason"], body] += 1
        if answer["next"] is None:
            return kept
        before = {"before": answer["next"]}
