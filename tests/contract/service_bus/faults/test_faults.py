import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusConnectionError

from local.service_bus.control.client import ControlClient
from local.service_bus.faults import Moment
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Endpoints, NewQueue, body, receive_one
from tests.contract.service_bus.faults.conftest import Active, send


def test_a_lost_acknowledgement_fails_the_send_of_a_message_that_is_stored(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active
) -> None:
    sender = endpoints.sender(queue)
    control.lose_acknowledgements()
    with pytest.raises(ServiceBusConnectionError):
        send(sender)
    assert active(queue) == 1
    send(sender)
    assert active(queue) == 2


def test_the_retry_after_a_lost_acknowledgement_stores_the_message_twice(
    control: ControlClient, retrying: Endpoints, queue: str, active: Active
) -> None:
    sender = retrying.sender(queue)
    control.lose_acknowledgements(2, queue)
    send(sender)
    assert active(queue) == 3
    assert control.faults() == []


def test_duplicate_detection_drops_the_retry_after_a_lost_acknowledgement(
    control: ControlClient, retrying: Endpoints, new_queue: NewQueue, active: Active
) -> None:
    queue = new_queue(RequiresDuplicateDetection=True)
    sender = retrying.sender(queue)
    control.lose_acknowledgements(2)
    send(sender)
    assert active(queue) == 1
    assert control.faults() == []


def test_a_batch_whose_acknowledgement_is_lost_is_stored_whole(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active
) -> None:
    sender = endpoints.sender(queue)
    control.lose_acknowledgements()
    with pytest.raises(ServiceBusConnectionError):
        sender.send_messages([ServiceBusMessage(f"{number}") for number in range(100)])
    assert active(queue) == 100


def test_a_fault_at_one_queue_leaves_the_others_alone(
    control: ControlClient, endpoints: Endpoints, queue: str, new_queue: NewQueue, active: Active
) -> None:
    control.lose_acknowledgements(1, new_queue())
    send(endpoints.sender(queue))
    assert active(queue) == 1
    assert [fault["left"] for fault in control.faults()] == [1]


@pytest.mark.parametrize("moment", [Moment.CONNECT, Moment.ATTACH])
def test_a_connection_may_be_dropped_before_a_link_is_there(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active, moment: Moment
) -> None:
    control.drop(moment)
    with pytest.raises(ServiceBusConnectionError):
        endpoints.sender(queue)
    send(endpoints.sender(queue))
    assert active(queue) == 1


def test_a_connection_may_be_dropped_before_a_message_is_stored(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active
) -> None:
    sender = endpoints.sender(queue)
    control.drop(Moment.SEND, entity=queue)
    with pytest.raises(ServiceBusConnectionError):
        send(sender)
    assert active(queue) == 0
    send(sender)
    assert active(queue) == 1


def test_a_retry_bridges_dropped_connections(
    control: ControlClient, retrying: Endpoints, queue: str, active: Active
) -> None:
    for moment in (Moment.CONNECT, Moment.ATTACH, Moment.SEND):
        control.drop(moment)
    send(retrying.sender(queue))
    assert active(queue) == 1
    assert control.faults() == []


def test_a_connection_dropped_before_a_settlement_leaves_the_message_locked(
    control: ControlClient, endpoints: Endpoints, emulator: EmulatorProcess, queue: str
) -> None:
    send(endpoints.sender(queue))
    receiver = endpoints.receiver(queue)
    message = receive_one(receiver)
    control.drop(Moment.SETTLE, entity=queue)
    with pytest.raises(ServiceBusConnectionError):
        receiver.complete_message(message)
    assert [counts.locked for counts in emulator.queues() if counts.name == queue] == [1]


def test_all_connections_can_be_dropped_now(control: ControlClient, endpoints: Endpoints, queue: str) -> None:
    sender, receiver = endpoints.sender(queue), endpoints.receiver(queue)
    assert control.drop_connections() >= 2
    with pytest.raises(ServiceBusConnectionError):
        send(sender)
    with pytest.raises(ServiceBusConnectionError):
        receiver.receive_messages(1, max_wait_time=30)
    send(sender)
    assert body(receive_one(receiver)) == b"x"


def test_topics_and_subscriptions_meet_faults_by_their_paths(control: ControlClient, endpoints: Endpoints) -> None:
    control.create_topic("topic/a")
    control.create_subscription("topic/a", "s")
    sender, receiver = endpoints.topic_sender("topic/a"), endpoints.subscription_receiver("topic/a", "s")
    control.lose_acknowledgements(entity="Topic/A")
    with pytest.raises(ServiceBusConnectionError):
        send(sender)
    message = receive_one(receiver)
    control.drop(Moment.SETTLE, entity="topic/a/subscriptions/s")
    with pytest.raises(ServiceBusConnectionError):
        receiver.complete_message(message)
    assert control.faults() == []
