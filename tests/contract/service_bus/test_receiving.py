from datetime import UTC, datetime, timedelta
from itertools import islice

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode

from tests.contract.service_bus.conftest import Counts, Endpoints, body, receive


def test_a_received_message_is_locked_until_it_is_completed(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("x"))
    [message] = receiver.receive_messages(1, max_wait_time=30)
    assert (counts(queue).active, counts(queue).locked) == (0, 1)
    receiver.complete_message(message)
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_a_received_message_tells_what_the_broker_knows(endpoints: Endpoints, queue: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("x", time_to_live=timedelta(minutes=5)))
    [message] = receiver.receive_messages(1, max_wait_time=30)
    assert message.delivery_count == 0
    assert message.sequence_number == 1
    assert message.enqueued_sequence_number == 1
    assert message.time_to_live == timedelta(minutes=5)
    assert message.enqueued_time_utc is not None
    assert before <= message.enqueued_time_utc <= datetime.now(UTC)
    assert message.locked_until_utc is not None
    assert message.locked_until_utc - message.enqueued_time_utc >= timedelta(minutes=1)


def test_receive_and_delete_leaves_nothing_behind(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue, receive_mode=mode)
    sender.send_messages([ServiceBusMessage(f"{number}") for number in range(20)])
    received = receive(receiver, 20)
    assert [body(message) for message in received] == [f"{number}".encode() for number in range(20)]
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_a_waiting_receiver_gets_what_is_sent_later(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    sender = endpoints.sender(queue)
    assert receiver.receive_messages(1, max_wait_time=0.2) == []
    sender.send_messages(ServiceBusMessage("late"))
    [message] = receiver.receive_messages(1, max_wait_time=30)
    assert body(message) == b"late"


def test_two_receivers_share_a_queue_and_no_message_goes_to_both(endpoints: Endpoints, queue: str) -> None:
    sender = endpoints.sender(queue)
    one = endpoints.receiver(queue)
    other = endpoints.receiver(queue)
    sender.send_messages([ServiceBusMessage(f"{number}") for number in range(20)])
    first = receive(one, 10)
    second = receive(other, 10)
    assert len(first) == len(second) == 10
    assert {body(message) for message in first + second} == {f"{number}".encode() for number in range(20)}


def test_a_receiver_with_prefetch_gets_everything_once(endpoints: Endpoints, queue: str) -> None:
    seen: list[bytes] = []
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue, prefetch_count=50)
    for part in range(3):
        sender.send_messages([ServiceBusMessage(f"{part}-{number}") for number in range(100)])
    while len(seen) < 300:
        batch = receiver.receive_messages(100, max_wait_time=30)
        assert batch
        for message in batch:
            receiver.complete_message(message)
            seen.append(body(message))
    assert seen == [f"{part}-{number}".encode() for part in range(3) for number in range(100)]


def test_an_iterator_receives_one_message_after_the_other(endpoints: Endpoints, queue: str, counts: Counts) -> None:
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue, max_wait_time=60)
    sender.send_messages([ServiceBusMessage(f"{number}") for number in range(5)])
    seen: list[bytes] = []
    for message in islice(receiver, 5):
        seen.append(body(message))
        receiver.complete_message(message)
    assert seen == [b"0", b"1", b"2", b"3", b"4"]
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_an_iterator_ends_when_the_queue_stays_empty(endpoints: Endpoints, queue: str) -> None:
    assert list(endpoints.receiver(queue, max_wait_time=0.5)) == []


def test_closing_a_receiver_releases_prefetched_messages_uncounted(client: ServiceBusClient, queue: str) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(f"{number}") for number in range(10)])
    with client.get_queue_receiver(queue, prefetch_count=10) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=30)
        receiver.complete_message(message)
    with client.get_queue_receiver(queue) as receiver:
        rest = receive(receiver, 9)
    assert [body(message) for message in rest] == [f"{number}".encode() for number in range(1, 10)]
    assert {message.delivery_count for message in rest} == {0}


def test_peeking_shows_messages_whatever_their_state_and_locks_none(
    endpoints: Endpoints, queue: str, counts: Counts
) -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    sender = endpoints.sender(queue)
    receiver = endpoints.receiver(queue)
    sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    sender.schedule_messages(ServiceBusMessage("c"), later)
    receiver.receive_messages(1, max_wait_time=30)
    peeked = receiver.peek_messages(10, sequence_number=1)
    beyond = receiver.peek_messages(10, sequence_number=4)
    from_second = receiver.peek_messages(1, sequence_number=2)
    assert [body(message) for message in peeked] == [b"a", b"b", b"c"]
    assert [message.state.name for message in peeked] == ["ACTIVE", "ACTIVE", "SCHEDULED"]
    assert [body(message) for message in from_second] == [b"b"]
    assert beyond == []
    assert counts(queue).scheduled == 1
