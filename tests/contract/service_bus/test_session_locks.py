"""Session locks: who holds a session, until when, and what other receivers can do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSession,
)
from azure.servicebus.exceptions import MessageNotFoundError, SessionLockLostError

from tests.contract.service_bus.clients import Sdk
from tests.contract.service_bus.conftest import (
    Counts,
    Drop,
    Endpoints,
    NewQueue,
    body,
    has_passed,
    receive,
    receive_one,
    wait_until,
)

USES: dict[str, Callable[[ServiceBusReceiver], object]] = {
    "renew": lambda receiver: session_of(receiver).renew_lock(),
    "get state": lambda receiver: session_of(receiver).get_state(),
    "set state": lambda receiver: session_of(receiver).set_state("late"),
    "receive": lambda receiver: receiver.receive_messages(1, max_wait_time=1),
}


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue("sessions")


def session_of(receiver: ServiceBusReceiver) -> ServiceBusSession:
    assert receiver.session
    return receiver.session


def send(endpoints: Endpoints, queue: str, *texts: str, session_id: str = "s") -> None:
    endpoints.sender(queue).send_messages([ServiceBusMessage(text, session_id=session_id) for text in texts])


def test_a_receiver_that_waits_for_any_session_gets_the_first_one(endpoints: Endpoints, queue: str) -> None:
    def wait_for_any() -> tuple[str, bytes]:
        receiver = endpoints.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=20)
        return session_of(receiver).session_id, body(receive_one(receiver))

    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(wait_for_any)
        send(endpoints, queue, "a", session_id="late")
        assert waiting.result() == ("late", b"a")


@pytest.mark.parametrize("use", USES)
def test_an_expired_session_is_lost_for_every_use(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts, use: str
) -> None:
    queue = new_queue("short-sessions")
    send(endpoints, queue, "a")
    receiver = endpoints.receiver(queue, session_id="s")
    receive_one(receiver)
    wait_until(lambda: not counts(queue).locked)
    with pytest.raises(SessionLockLostError):
        USES[use](receiver)


def test_the_auto_lock_renewer_keeps_a_session(
    sdk: Sdk, endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("steady-sessions")
    send(endpoints, queue, "a")
    with sdk.new_renewer() as renewer:
        receiver = endpoints.receiver(queue, session_id="s", auto_lock_renewer=renewer)
        message = receive_one(receiver)
        unrenewed_end = session_of(receiver).locked_until_utc
        wait_until(lambda: has_passed(unrenewed_end))
        receiver.complete_message(message)
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_a_session_is_free_when_the_connection_of_its_holder_breaks(
    endpoints: Endpoints, queue: str, drop: Drop
) -> None:
    send(endpoints, queue, "a")
    receiver = endpoints.receiver(queue, session_id="s")
    receive_one(receiver)
    drop(receiver)
    again = receive_one(endpoints.receiver(queue, session_id="s"))
    assert body(again) == b"a"


def test_an_empty_session_can_be_held_and_has_state(client: ServiceBusClient, endpoints: Endpoints, queue: str) -> None:
    with client.get_queue_receiver(queue, session_id="empty") as receiver:
        session_of(receiver).set_state("é")
    assert session_of(endpoints.receiver(queue, session_id="empty")).get_state() == "é".encode()


def test_a_deferred_message_is_found_in_its_own_session_alone(
    impatient_client: ServiceBusClient, endpoints: Endpoints, queue: str
) -> None:
    send(endpoints, queue, "a")
    receiver = endpoints.receiver(queue, session_id="s")
    message = receive_one(receiver)
    receiver.defer_message(message)
    assert message.sequence_number
    with (
        pytest.raises(MessageNotFoundError),
        impatient_client.get_queue_receiver(queue, session_id="t") as other,
    ):
        other.receive_deferred_messages(message.sequence_number)
    [deferred] = receiver.receive_deferred_messages(message.sequence_number)
    assert body(deferred) == b"a"


def test_a_session_can_be_received_and_deleted(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    send(endpoints, queue, "a1", "a2", session_id="a")
    send(endpoints, queue, "b", session_id="b")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    receiver = endpoints.receiver(queue, session_id="a", receive_mode=mode)
    assert [body(message) for message in receive(receiver, 2)] == [b"a1", b"a2"]
    assert (counts(queue).active, counts(queue).locked) == (1, 0)


def test_a_session_id_is_a_mere_property_where_sessions_are_not_required(
    endpoints: Endpoints, new_queue: NewQueue
) -> None:
    queue = new_queue()
    send(endpoints, queue, "a", session_id="s")
    message = receive_one(endpoints.receiver(queue))
    assert (body(message), message.session_id) == (b"a", "s")
