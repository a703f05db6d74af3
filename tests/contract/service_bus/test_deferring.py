import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import MessageNotFoundError

from tests.contract.service_bus.conftest import Counts, Endpoints, NewQueue, body, wait_until


def defer_one(endpoints: Endpoints, queue: str, text: str = "a") -> tuple[ServiceBusReceiver, int]:
    """Sends and defers a message; returns the receiver and the sequence number."""
    endpoints.sender(queue).send_messages(ServiceBusMessage(text))
    receiver = endpoints.receiver(queue)
    [message] = receiver.receive_messages(1, max_wait_time=30)
    number = message.sequence_number
    assert number
    receiver.defer_message(message)
    return receiver, number


def receive_deferred(receiver: ServiceBusReceiver, number: int) -> ServiceBusReceivedMessage:
    [message] = receiver.receive_deferred_messages(number)
    return message


def test_a_deferred_message_is_received_by_its_number_alone(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    receiver, number = defer_one(endpoints, queue)
    assert counts(queue).deferred == 1
    assert receiver.receive_messages(1, max_wait_time=0.2) == []
    message = receive_deferred(receiver, number)
    assert (body(message), message.sequence_number, message.delivery_count) == (b"a", number, 0)
    assert message.lock_token
    assert message.locked_until_utc
    assert (counts(queue).deferred, counts(queue).locked) == (0, 1)
    receiver.complete_message(message)
    assert (counts(queue).deferred, counts(queue).locked) == (0, 0)


def test_several_deferred_messages_are_received_together(endpoints: Endpoints, queue: str) -> None:
    receiver, first = defer_one(endpoints, queue, "a")
    _, second = defer_one(endpoints, queue, "b")
    messages = receiver.receive_deferred_messages([second, first])
    assert [body(message) for message in messages] == [b"b", b"a"]
    for message in messages:
        receiver.complete_message(message)


def test_peeking_shows_a_deferred_message_as_such(endpoints: Endpoints, queue: str) -> None:
    receiver, number = defer_one(endpoints, queue)
    [message] = receiver.peek_messages(sequence_number=number)
    assert message.state is ServiceBusMessageState.DEFERRED


def test_an_abandoned_deferred_message_stays_deferred_and_is_counted(
    endpoints: Endpoints, queue: str, counts: Counts
) -> None:
    receiver, number = defer_one(endpoints, queue)
    receiver.abandon_message(receive_deferred(receiver, number))
    assert counts(queue).deferred == 1
    again = receive_deferred(receiver, number)
    assert again.delivery_count == 1
    receiver.defer_message(again)
    assert counts(queue).deferred == 1


def test_a_deferred_message_can_be_dead_lettered(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    receiver, number = defer_one(endpoints, queue)
    receiver.dead_letter_message(receive_deferred(receiver, number), reason="late", error_description="too late")
    assert (counts(queue).deferred, counts(queue).dead_letter) == (0, 1)
    dead = endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    [message] = dead.receive_messages(1, max_wait_time=30)
    assert (message.dead_letter_reason, message.dead_letter_error_description) == ("late", "too late")


def test_a_deferred_message_can_be_received_and_deleted(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    _, number = defer_one(endpoints, queue)
    deleting = endpoints.receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    assert body(receive_deferred(deleting, number)) == b"a"
    assert counts(queue).deferred == 0


def test_a_lock_that_ends_leaves_a_deferred_message_deferred(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("steady-lock")
    receiver, number = defer_one(endpoints, queue)
    receive_deferred(receiver, number)
    assert counts(queue).deferred == 0
    wait_until(lambda: counts(queue).deferred == 1)
    assert receive_deferred(receiver, number).delivery_count == 1


def test_a_message_that_is_not_deferred_is_not_found(
    impatient_client: ServiceBusClient, endpoints: Endpoints, queue: str
) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    [message] = receiver.receive_messages(1, max_wait_time=30)
    assert message.sequence_number
    with pytest.raises(MessageNotFoundError), impatient_client.get_queue_receiver(queue) as impatient:
        impatient.receive_deferred_messages(message.sequence_number)
