import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError

from tests.contract.service_bus.clients import Sdk
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

DEAD_LETTER = ServiceBusSubQueue.DEAD_LETTER


def test_abandoning_raises_the_delivery_count_and_the_message_is_first_again(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    receiver.abandon_message(receive_one(receiver))
    again = receive_one(receiver)
    assert (body(again), again.delivery_count) == (b"a", 1)


def test_a_message_delivered_too_often_is_dead_lettered(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("a"))
    for _ in range(3):
        receiver.abandon_message(receive_one(receiver))
    assert receiver.receive_messages(1, max_wait_time=0.2) == []
    assert counts(queue).dead_letter == 1
    receiver = endpoints.receiver(queue, sub_queue=DEAD_LETTER)
    message = receive_one(receiver)
    assert message.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert message.dead_letter_error_description == "Message could not be consumed after 3 delivery attempts."
    receiver.complete_message(message)
    assert counts(queue).dead_letter == 0


def test_a_dead_lettered_message_keeps_its_properties_and_tells_why(endpoints: Endpoints, queue: str) -> None:
    sent = ServiceBusMessage("a", application_properties={"kept": 1}, message_id="m", subject="s")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(sent)
    receiver.dead_letter_message(receive_one(receiver), reason="bad", error_description="unreadable é")
    receiver = endpoints.receiver(queue, sub_queue=DEAD_LETTER)
    message = receive_one(receiver)
    assert (message.dead_letter_reason, message.dead_letter_error_description) == ("bad", "unreadable é")
    assert (body(message), message.message_id, message.subject) == (b"a", "m", "s")
    assert (message.application_properties or {})[b"kept"] == 1


def test_a_message_can_be_dead_lettered_without_a_reason(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("a"))
    receiver.dead_letter_message(receive_one(receiver))
    receiver = endpoints.receiver(queue, sub_queue=DEAD_LETTER)
    assert receive_one(receiver).dead_letter_reason is None


def test_a_dead_letter_can_be_abandoned_any_number_of_times(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("a"))
    receiver.dead_letter_message(receive_one(receiver))
    receiver = endpoints.receiver(queue, sub_queue=DEAD_LETTER)
    for _ in range(5):
        receiver.abandon_message(receive_one(receiver))
    assert receive_one(receiver).delivery_count == 5


def test_nothing_is_sent_to_a_dead_letter_queue(client: ServiceBusClient, queue: str) -> None:
    with pytest.raises(ServiceBusError), client.get_queue_sender(f"{queue}/$deadletterqueue") as sender:
        sender.send_messages(ServiceBusMessage("x"))


def test_an_expired_lock_is_lost_and_the_message_is_delivered_again_counted(
    endpoints: Endpoints, new_queue: NewQueue
) -> None:
    queue = new_queue("short-lock")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("a"))
    message = receive_one(receiver)
    again = receive_one(receiver)
    assert (body(again), again.delivery_count) == (b"a", 1)
    with pytest.raises(MessageLockLostError):
        receiver.complete_message(message)


def test_renewing_keeps_a_lock_beyond_its_duration(endpoints: Endpoints, new_queue: NewQueue) -> None:
    queue = new_queue("steady-lock")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("a"))
    message = receive_one(receiver)
    first_end = message.locked_until_utc
    assert first_end
    wait_until(lambda: receiver.renew_message_lock(message) > first_end and has_passed(first_end))
    receiver.complete_message(message)


def test_the_auto_lock_renewer_keeps_several_locks(
    sdk: Sdk, endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("steady-lock")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages([ServiceBusMessage(f"{number}") for number in range(4)])
    messages = receive(receiver, 4)
    first_ends = [message.locked_until_utc for message in messages]
    with sdk.new_renewer() as renewer:
        for message in messages:
            renewer.register(receiver, message, max_lock_renewal_duration=300)
        wait_until(lambda: all(map(has_passed, first_ends)))
        for message in messages:
            receiver.complete_message(message)
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_renewing_a_lost_lock_fails(endpoints: Endpoints, new_queue: NewQueue) -> None:
    queue = new_queue("short-lock")
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("a"))
    message = receive_one(receiver)
    receive_one(receiver)
    with pytest.raises(MessageLockLostError):
        receiver.renew_message_lock(message)
