"""A broker that accepts connections and does not answer: each call ends at its deadline, and its thread ends too."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from azure.servicebus import ServiceBusClient, TransportType

from core.errors import QueueError, QueueTimeoutError, QueueUnavailableError
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE
from core.messages import OutgoingMessage
from local.service_bus.process import EmulatorProcess
from repositories import broker_client, service_bus
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls
from repositories.ports import SendResult
from repositories.service_bus import Deadlines, ServiceBusRepository, by_connection_string
from tests.support.silence import Relay
from tests.support.waiting import wait_until

_QUEUES = (JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE)
_SHORT = Deadlines(send_seconds=0.4, ping_seconds=0.4, close_seconds=0.4)
_LONG = Deadlines(send_seconds=120.0, ping_seconds=120.0, close_seconds=120.0)
"""For a broker that answers."""

_WIDE_SECONDS = 60.0
"""Far longer than the short deadlines, far shorter than the client's own waits."""


pytestmark = [
    pytest.mark.service_bus_only("the client of Service Bus has connections, links and threads of its own"),
    pytest.mark.usefixtures("client_sockets"),
]


def calls() -> BrokerCalls:
    return BrokerCalls(Breaker(most_unanswered=1_000), cut_every_seconds=0.05)


def send(queue: ServiceBusRepository) -> SendResult:
    return queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")])


def timed_out(queue: ServiceBusRepository) -> bool:
    """Sends, with a short deadline; returns whether the send ended in time with the error of a deadline."""
    began = time.monotonic()
    with impatient(queue):
        result = send(queue)
    return isinstance(result.error, QueueTimeoutError) and time.monotonic() - began < _WIDE_SECONDS


def ping_error(queue: ServiceBusRepository) -> type[QueueError] | None:
    """Pings, with a short deadline; returns the class of its error."""
    with impatient(queue):
        try:
            queue.ping()
        except QueueError as exc:
            return type(exc)
    return None


@contextmanager
def impatient(queue: ServiceBusRepository) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "_deadlines", _SHORT)
        yield


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
    return by_connection_string(relay.connection_string, _QUEUES, _LONG, threads)


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

    return ServiceBusRepository(new_client, _QUEUES, _LONG, threads)


connected = pytest.mark.parametrize("connect", [plain, with_tls])


@connected
def test_a_send_and_a_ping_end_at_their_deadlines(
    silent: Relay, connect: Callable[[Relay, BrokerCalls], ServiceBusRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_client, "_LONGEST_READ_SECONDS", 120.0)
    threads = calls()
    with closing(connect(silent, threads)) as queue:
        assert timed_out(queue)
        began = time.monotonic()
        assert ping_error(queue) is QueueTimeoutError
        assert time.monotonic() - began < _WIDE_SECONDS
    silent.close()
    wait_until(lambda: threads.breaker.hanging == 0)


@connected
def test_the_threads_of_calls_that_were_given_up_end_too(
    silent: Relay, connect: Callable[[Relay, BrokerCalls], ServiceBusRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_client, "_LONGEST_READ_SECONDS", 1.0)
    threads = calls()
    with closing(connect(silent, threads)) as queue, impatient(queue):
        assert not send(queue).success
        with pytest.raises(QueueError):
            queue.ping()
    wait_until(lambda: threads.breaker.hanging == 0)
    wait_until(lambda: silent.open_connections() == 0)


def test_a_broker_that_falls_silent_is_noticed_by_sends_and_pings_on_open_connections(relay: Relay) -> None:
    with closing(plain(relay, calls())) as queue:
        assert [send(queue).success for _ in range(3)] == [True] * 3
        queue.ping()
        relay.silence()
        assert timed_out(queue)
        assert ping_error(queue) is QueueTimeoutError
        relay.answer_again()
        assert send(queue).success
        queue.ping()


def test_a_send_that_was_given_up_while_its_connection_opened_sends_nothing_later(
    relay: Relay, service_bus: EmulatorProcess
) -> None:
    threads = BrokerCalls(cut_every_seconds=30)  # so that the client, once cut, connects again and opens its link
    relay.silence()
    with closing(plain(relay, threads)) as queue:
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
    with closing(plain(relay, calls())) as queue:
        with ThreadPoolExecutor(4) as senders, monkeypatch.context() as patch:
            patch.setattr("repositories.service_bus._send", _together(service_bus._send, 4))
            assert all(senders.map(lambda _: send(queue).success, range(4)))
        assert relay.accepted > 1
        relay.silence_open_connections()
        assert timed_out(queue)
        assert send(queue).success


def _together(send: Callable[..., None], count: int) -> Callable[..., None]:
    """Sends once so many threads have a client each."""
    barrier = threading.Barrier(count)

    def wait_and_send(*args: object) -> None:
        barrier.wait(60)
        send(*args)

    return wait_and_send


def test_pings_leave_no_connection_and_sends_in_turn_use_one(relay: Relay) -> None:
    with closing(plain(relay, calls())) as queue:
        for _ in range(3):
            queue.ping()
            assert send(queue).success
        wait_until(lambda: relay.open_connections() == 1)
    wait_until(lambda: relay.open_connections() == 0)


def test_after_several_calls_without_an_answer_the_next_ones_fail_at_once_until_a_trial_is_answered(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    """By a clock that the test moves: no trial is due before."""
    caplog.set_level(logging.WARNING)
    now = [0.0]
    breaker = Breaker(most_unanswered=3, pause_seconds=5.0, clock=lambda: now[0])
    relay.silence()
    with closing(plain(relay, BrokerCalls(breaker, cut_every_seconds=0.05))) as queue:
        with impatient(queue), ThreadPoolExecutor(3) as senders:
            assert all(senders.map(lambda _: isinstance(send(queue).error, QueueTimeoutError), range(3)))
        accepted = relay.accepted
        assert {type(send(queue).error) for _ in range(20)} == {QueueUnavailableError}
        relay.answer_again()
        now[0] = 5.0
        assert send(queue).success
        assert [send(queue).success for _ in range(3)] == [True] * 3
        assert relay.accepted > accepted
    opened, closed = (record.getMessage() for record in caplog.records if record.name == "repositories.breaker")
    assert "3 calls in a row" in opened
    assert "answers again, after 3 unanswered calls" in closed


def test_the_production_deadlines_fit_a_lease() -> None:
    assert Deadlines() == Deadlines(send_seconds=20, ping_seconds=5, close_seconds=5)


def test_a_process_can_end_while_a_call_hangs(silent: Relay) -> None:
    with closing(plain(silent, calls())) as queue:
        assert timed_out(queue)
        hanging = [thread for thread in threading.enumerate() if thread.name.startswith("broker")]
        assert hanging
        assert all(thread.daemon for thread in hanging)
