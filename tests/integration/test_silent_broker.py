"""A broker that accepts connections and does not answer: each call ends at its deadline, and its thread ends too."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from azure.servicebus import ServiceBusClient, TransportType

from core.errors import QueueError, QueueTimeoutError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE
from core.messages import OutgoingMessage
from local.service_bus.process import EmulatorProcess
from repositories import broker_client
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls
from repositories.ports import SendResult
from repositories.service_bus import Deadlines, ServiceBusRepository, by_connection_string
from tests.support.silence import Relay
from tests.support.waiting import wait_until

_QUEUES = (JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE)
_SHORT = Deadlines(send_seconds=0.4, ping_seconds=0.4, close_seconds=0.4)
_USUAL = Deadlines(send_seconds=2.0, ping_seconds=2.0, close_seconds=2.0)
_WIDE_SECONDS = 5.0
"""Far longer than the short deadlines, far shorter than the client's own waits."""


pytestmark = [
    pytest.mark.service_bus_only("the client of Service Bus has connections, links and threads of its own"),
    pytest.mark.usefixtures("client_sockets"),
]


def calls(most_unanswered: int = 1_000, pause_seconds: float = 0.2) -> BrokerCalls:
    return BrokerCalls(Breaker(most_unanswered, pause_seconds=pause_seconds), cut_every_seconds=0.05)


def send(queue: ServiceBusRepository) -> SendResult:
    return queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")])


def timed_out(queue: ServiceBusRepository) -> bool:
    """Sends; returns whether the send ended in time with the error of a deadline."""
    began = time.monotonic()
    result = send(queue)
    return isinstance(result.error, QueueTimeoutError) and time.monotonic() - began < _WIDE_SECONDS


def ping_error(queue: ServiceBusRepository) -> type[QueueError] | None:
    try:
        queue.ping()
    except QueueError as exc:
        return type(exc)
    return None


@pytest.fixture
def silent() -> Iterator[Relay]:
    with Relay() as relay:
        yield relay


@pytest.fixture
def relay(service_bus: EmulatorProcess) -> Iterator[Relay]:
    """A broker that can fall silent."""
    with Relay(service_bus.amqp_port) as relay:
        yield relay


def plain(relay: Relay, threads: BrokerCalls) -> ServiceBusRepository:
    return by_connection_string(relay.connection_string, _QUEUES, _SHORT, threads)


def with_tls(relay: Relay, threads: BrokerCalls) -> ServiceBusRepository:
    """Hangs in the TLS handshake; by_connection_string knows no other port than 5671."""
    context = broker_client.tls_context()

    def new_client() -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(
            "Endpoint=sb://jobs.example;SharedAccessKeyName=any;SharedAccessKey=any",
            custom_endpoint_address=f"sb://127.0.0.1:{relay.port}",
            transport_type=TransportType.Amqp,
            retry_backoff_factor=0.01,
            ssl_context=context,
        )

    return ServiceBusRepository(new_client, _QUEUES, _SHORT, threads)


@pytest.mark.parametrize("connect", [plain, with_tls])
def test_a_send_and_a_ping_end_at_their_deadlines_and_their_threads_end_too(
    silent: Relay, connect: Callable[[Relay, BrokerCalls], ServiceBusRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_client, "_LONGEST_READ_SECONDS", 1.0)
    threads = calls()
    with closing(connect(silent, threads)) as queue:
        assert timed_out(queue)
        began = time.monotonic()
        assert ping_error(queue) is QueueTimeoutError
        assert time.monotonic() - began < _WIDE_SECONDS
    wait_until(lambda: threads.breaker.hanging == 0)
    wait_until(lambda: silent.open_connections() == 0)


def test_a_broker_that_falls_silent_is_noticed_by_sends_and_pings_on_open_connections(relay: Relay) -> None:
    with closing(by_connection_string(relay.connection_string, _QUEUES, _USUAL, calls())) as queue:
        assert [send(queue).success for _ in range(3)] == [True] * 3
        assert ping_error(queue) is None
        relay.silence()
        assert timed_out(queue)
        assert ping_error(queue) is QueueTimeoutError
        relay.answer_again()
        assert send(queue).success
        assert ping_error(queue) is None


def test_a_send_that_was_given_up_while_its_connection_opened_sends_nothing_later(
    relay: Relay, service_bus: EmulatorProcess
) -> None:
    threads = BrokerCalls(cut_every_seconds=30)  # so that the client, once cut, connects again and opens its link
    relay.silence()
    with closing(by_connection_string(relay.connection_string, _QUEUES, _SHORT, threads)) as queue:
        assert timed_out(queue)
        relay.answer_again()
        wait_until(lambda: threads.breaker.hanging == 0)
    assert relay.accepted > 1, "the client did not connect again"
    assert sum(counts.active for counts in service_bus.queues()) == 0


def test_the_other_connections_are_not_trusted_after_one_has_fallen_silent(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a host behind the broker's load balancer dies: only new connections are answered."""
    monkeypatch.setattr("repositories.service_bus._LONG_WAIT_SECONDS", 0)  # so that sends at once open several
    monkeypatch.setattr("repositories.service_bus._OPENING_SECONDS", 0)
    with closing(by_connection_string(relay.connection_string, _QUEUES, _USUAL, calls())) as queue:
        with ThreadPoolExecutor(4) as senders:
            together = threading.Barrier(4)
            assert all(senders.map(lambda _: together.wait(30) >= 0 and send(queue).success, range(4)))
        assert relay.accepted > 1
        relay.silence_open_connections()
        assert timed_out(queue)
        assert send(queue).success


def test_pings_leave_no_connection_and_sends_in_turn_use_one(relay: Relay) -> None:
    with closing(by_connection_string(relay.connection_string, _QUEUES, calls=calls())) as queue:
        for _ in range(3):
            queue.ping()
            assert send(queue).success
        wait_until(lambda: relay.open_connections() == 1)
    wait_until(lambda: relay.open_connections() == 0)


def test_after_several_calls_without_an_answer_the_next_ones_fail_at_once_until_a_trial_is_answered(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    threads = calls(most_unanswered=3, pause_seconds=0.1)
    relay.silence()
    with closing(by_connection_string(relay.connection_string, _QUEUES, _USUAL, threads)) as queue:
        with ThreadPoolExecutor(3) as senders:
            assert all(senders.map(lambda _: timed_out(queue), range(3)))
        accepted = relay.accepted
        began = time.monotonic()
        assert {type(send(queue).error) for _ in range(20)} == {QueueUnavailableError}
        assert time.monotonic() - began < _USUAL.send_seconds
        relay.answer_again()
        wait_until(lambda: send(queue).success)
        assert [send(queue).success for _ in range(3)] == [True] * 3
        assert relay.accepted > accepted
    opened, closed = (record.getMessage() for record in caplog.records if record.name == "repositories.breaker")
    assert "3 calls in a row" in opened
    assert "answers again, after 3 unanswered calls" in closed


def test_the_production_deadlines_fit_a_lease() -> None:
    assert Deadlines() == Deadlines(send_seconds=20, ping_seconds=5, close_seconds=5)


def test_a_process_can_end_while_a_call_hangs(silent: Relay) -> None:
    with closing(by_connection_string(silent.connection_string, _QUEUES, _SHORT, calls())) as queue:
        send(queue)
        hanging = [thread for thread in threading.enumerate() if thread.name.startswith("broker")]
        assert hanging
        assert all(thread.daemon for thread in hanging)
