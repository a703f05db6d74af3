import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiver,
    ServiceBusSession,
)
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from tests.contract.service_bus.conftest import (
    Counts,
    Endpoints,
    NewQueue,
    body,
    has_passed,
    receive,
    receive_one,
    wait_until,
)


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue("sessions")


def send(endpoints: Endpoints, queue: str, *texts: str, session_id: str = "s") -> None:
    endpoints.sender(queue).send_messages([ServiceBusMessage(text, session_id=session_id) for text in texts])


def session_of(receiver: ServiceBusReceiver) -> ServiceBusSession:
    assert receiver.session
    return receiver.session


def test_a_session_is_received_in_order_and_apart_from_others(endpoints: Endpoints, queue: str) -> None:
    send(endpoints, queue, "a1", "a2", session_id="a")
    send(endpoints, queue, "b1", session_id="b")
    send(endpoints, queue, "a3", session_id="a")
    receiver = endpoints.receiver(queue, session_id="a")
    messages = [receive_one(receiver) for _ in range(3)]
    assert [body(message) for message in messages] == [b"a1", b"a2", b"a3"]
    assert {message.session_id for message in messages} == {"a"}
    assert receiver.receive_messages(1, max_wait_time=0.2) == []


def test_a_message_that_comes_later_reaches_the_holder_of_its_session(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue, session_id="s")
    send(endpoints, queue, "other", session_id="t")
    send(endpoints, queue, "mine")
    message = receive_one(receiver)
    assert body(message) == b"mine"


def test_a_session_has_one_receiver_at_a_time(
    impatient_client: ServiceBusClient, endpoints: Endpoints, queue: str
) -> None:
    endpoints.receiver(queue, session_id="s")
    second = impatient_client.get_queue_receiver(queue, session_id="s")
    with pytest.raises(SessionCannotBeLockedError), second:
        second.receive_messages(1, max_wait_time=1)


def test_the_next_free_session_is_one_with_messages(endpoints: Endpoints, queue: str) -> None:
    send(endpoints, queue, "a", session_id="first")
    send(endpoints, queue, "b", session_id="second")
    one = endpoints.receiver(queue, session_id=NEXT_AVAILABLE_SESSION)
    two = endpoints.receiver(queue, session_id=NEXT_AVAILABLE_SESSION)
    assert [session_of(one).session_id, session_of(two).session_id] == ["first", "second"]
    assert [body(receive_one(one)), body(receive_one(two))] == [b"a", b"b"]


def test_without_a_free_session_the_wait_ends_in_time(impatient_client: ServiceBusClient, queue: str) -> None:
    receiver = impatient_client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1)
    with pytest.raises(OperationTimeoutError), receiver:
        receiver.receive_messages(1)


def test_closing_frees_the_session_and_counts_nothing(
    client: ServiceBusClient, endpoints: Endpoints, queue: str
) -> None:
    send(endpoints, queue, "a")
    with client.get_queue_receiver(queue, session_id="s") as first:
        receive_one(first)
    message = receive_one(endpoints.receiver(queue, session_id="s"))
    assert (body(message), message.delivery_count) == (b"a", 0)


def test_messages_of_a_session_are_settled_like_others(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    send(endpoints, queue, "complete", "abandon", "dead-letter", "defer")
    receiver = endpoints.receiver(queue, session_id="s")
    complete, abandon, dead_letter, defer = receive(receiver, 4)
    number = defer.sequence_number
    assert number
    receiver.complete_message(complete)
    receiver.abandon_message(abandon)
    receiver.dead_letter_message(dead_letter, reason="r")
    receiver.defer_message(defer)
    assert (counts(queue).dead_letter, counts(queue).deferred) == (1, 1)
    again = receive_one(receiver)
    assert (body(again), again.delivery_count) == (b"abandon", 1)
    [deferred] = receiver.receive_deferred_messages(number)
    receiver.complete_message(deferred)
    assert counts(queue).deferred == 0


def test_a_session_keeps_state(client: ServiceBusClient, endpoints: Endpoints, queue: str) -> None:
    with client.get_queue_receiver(queue, session_id="s") as receiver:
        assert not session_of(receiver).get_state()
        session_of(receiver).set_state(b"\x00half way")
        assert session_of(receiver).get_state() == b"\x00half way"
    later = session_of(endpoints.receiver(queue, session_id="s"))
    assert later.get_state() == b"\x00half way"
    later.set_state(None)
    assert not later.get_state()


def test_renewing_a_session_keeps_its_messages(endpoints: Endpoints, new_queue: NewQueue, counts: Counts) -> None:
    queue = new_queue("steady-sessions")
    send(endpoints, queue, "a")
    receiver = endpoints.receiver(queue, session_id="s")
    message = receive_one(receiver)
    session = session_of(receiver)
    first_end = session.locked_until_utc
    assert first_end
    wait_until(lambda: session.renew_lock() >= first_end and has_passed(first_end))
    receiver.complete_message(message)
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_an_expired_session_is_lost_and_its_messages_are_delivered_again_counted(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("short-sessions")
    send(endpoints, queue, "a")
    receiver = endpoints.receiver(queue, session_id="s")
    message = receive_one(receiver)
    wait_until(lambda: not counts(queue).locked)
    with pytest.raises(SessionLockLostError):
        receiver.complete_message(message)
    again = receive_one(endpoints.receiver(queue, session_id="s"))
    assert (body(again), again.delivery_count) == (b"a", 1)


def test_peeking_in_a_session_shows_its_messages_alone(endpoints: Endpoints, queue: str) -> None:
    send(endpoints, queue, "a1", "a2", session_id="a")
    send(endpoints, queue, "b1", session_id="b")
    receiver = endpoints.receiver(queue, session_id="a")
    assert [body(message) for message in receiver.peek_messages(10)] == [b"a1", b"a2"]


def test_a_message_without_a_session_is_refused(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    with pytest.raises(ServiceBusError, match="session"):
        endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    assert counts(queue).active == 0


def test_a_queue_with_sessions_is_not_received_from_without_one(client: ServiceBusClient, queue: str) -> None:
    receiver = client.get_queue_receiver(queue)
    with pytest.raises(ServiceBusError, match="requires sessions"), receiver:
        receiver.receive_messages(1, max_wait_time=1)
