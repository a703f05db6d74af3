import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus._pyamqp.constants import LinkState
from azure.servicebus.exceptions import MessagingEntityNotFoundError, ServiceBusError

from local.service_bus.control.client import ControlClient, ControlError
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Counts, Endpoints, body, wait_until
from tests.contract.service_bus.faults.conftest import endpoints_of

NUMBERS = itertools.count()


@pytest.fixture
def control(emulator: EmulatorProcess) -> ControlClient:
    return emulator.control


@pytest.fixture
def name() -> str:
    return f"made-{next(NUMBERS)}"


@pytest.fixture(scope="module")
def once(emulator: EmulatorProcess) -> Iterator[Endpoints]:
    """Senders and receivers of a client that does not retry."""
    with endpoints_of(emulator, retry_total=0) as opened:
        yield opened


def names(control: ControlClient) -> set[str]:
    return {counts.name for counts in control.queues()}


@pytest.mark.parametrize("suffix", ["", "/with/slashes", ".with-all_signs"])
def test_a_queue_can_be_created_used_and_deleted(
    control: ControlClient, endpoints: Endpoints, name: str, suffix: str
) -> None:
    queue = name + suffix
    control.create_queue(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("x"))
    assert [body(message) for message in endpoints.receiver(queue).receive_messages(1, max_wait_time=30)] == [b"x"]
    control.delete_queue(queue)
    assert queue not in names(control)


def test_a_created_queue_has_the_properties_asked_for(
    control: ControlClient, endpoints: Endpoints, name: str, counts: Counts
) -> None:
    control.create_queue(name, LockDuration="PT1S", MaxDeliveryCount=1, RequiresDuplicateDetection=True)
    sender = endpoints.sender(name)
    for _ in range(2):
        sender.send_messages(ServiceBusMessage("x", message_id="1"))
    assert counts(name).active == 1
    receiver = endpoints.receiver(name)
    assert len(receiver.receive_messages(1, max_wait_time=30)) == 1
    buried = endpoints.receiver(name, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    assert [message.dead_letter_reason for message in buried.receive_messages(1, max_wait_time=10)] == [
        "MaxDeliveryCountExceeded"
    ]


def test_a_topic_and_its_subscriptions_can_be_created_used_and_deleted(
    control: ControlClient, endpoints: Endpoints, name: str
) -> None:
    control.create_topic(name)
    control.create_subscription(name, "a")
    control.create_subscription(name, "b", LockDuration="PT5S")
    endpoints.topic_sender(name).send_messages(ServiceBusMessage("x"))
    for subscription in ("a", "b"):
        receiver = endpoints.subscription_receiver(name, subscription)
        assert [body(message) for message in receiver.receive_messages(1, max_wait_time=30)] == [b"x"]
    control.delete_subscription(name, "a")
    assert f"{name}/Subscriptions/a" not in names(control)
    control.delete_topic(name)
    assert not {entity for entity in names(control) if entity.startswith(name)}


def test_a_new_queue_of_an_old_name_is_empty(control: ControlClient, once: Endpoints, name: str) -> None:
    control.create_queue(name)
    once.sender(name).send_messages(ServiceBusMessage("old"))
    control.delete_queue(name)
    control.create_queue(name)
    once.sender(name).send_messages(ServiceBusMessage("new"))
    assert [body(message) for message in once.receiver(name).receive_messages(2, max_wait_time=30)] == [b"new"]


def test_senders_and_receivers_learn_that_their_queue_is_deleted(
    control: ControlClient, endpoints: Endpoints, once: Endpoints, name: str
) -> None:
    control.create_queue(name)
    # A sender learns the reason from its retry: the first attempt fails with its link, whatever the reason.
    sender, receiver = endpoints.sender(name), once.receiver(name)
    sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    [message] = receiver.receive_messages(1, max_wait_time=30)
    control.delete_queue(name.upper())
    with pytest.raises(MessagingEntityNotFoundError):
        sender.send_messages(ServiceBusMessage("c"))
    with pytest.raises(ServiceBusError):
        receiver.complete_message(message)
    with pytest.raises(MessagingEntityNotFoundError):
        once.receiver(name)


def test_a_receiver_that_waits_learns_that_its_queue_is_deleted(
    control: ControlClient, once: Endpoints, name: str
) -> None:
    control.create_queue(name)
    receiver = once.receiver(name)
    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(receiver.receive_messages, 1, max_wait_time=60)
        control.delete_queue(name)
        with pytest.raises(MessagingEntityNotFoundError):
            waiting.result(timeout=30)


def test_a_receiver_that_waits_for_a_session_learns_that_its_queue_is_deleted(
    control: ControlClient, once: Endpoints, name: str
) -> None:
    control.create_queue(name, RequiresSession=True)
    with ThreadPoolExecutor() as executor:
        receiver: Any = once._client.get_queue_receiver(name, session_id=NEXT_AVAILABLE_SESSION)
        waiting = executor.submit(receiver.__enter__)
        wait_until(lambda: has_asked(receiver))
        control.delete_queue(name)
        with pytest.raises(MessagingEntityNotFoundError):
            waiting.result(timeout=30)
        receiver.close()


def has_asked(receiver: Any) -> bool:
    """Whether the receiver has sent its attach."""
    link = receiver._handler and receiver._handler._link
    return link is not None and link.state is LinkState.ATTACH_SENT


def test_links_to_other_entities_stay(control: ControlClient, once: Endpoints, name: str, queue: str) -> None:
    control.create_queue(name)
    sender = once.sender(queue)
    control.delete_queue(name)
    sender.send_messages(ServiceBusMessage("x"))


def test_a_name_can_be_used_once(control: ControlClient, name: str) -> None:
    control.create_queue(name)
    for create in (control.create_queue, control.create_topic):
        with pytest.raises(ControlError, match="already exists") as caught:
            create(name.upper())
        assert caught.value.status == 409


def test_what_does_not_exist_cannot_be_deleted_or_subscribed_to(control: ControlClient, name: str, queue: str) -> None:
    control.create_topic(name)
    for attempt in (
        partial(control.delete_queue, "nowhere"),
        partial(control.delete_topic, "nowhere"),
        partial(control.delete_subscription, name, "nowhere"),
        partial(control.create_subscription, "nowhere", "s"),
        partial(control.create_subscription, queue, "s"),
        partial(control.delete_queue, name),
        partial(control.delete_topic, queue),
        partial(control.delete_queue, f"{queue}/$deadletterqueue"),
    ):
        with pytest.raises(ControlError) as caught:
            attempt()
        assert caught.value.status == 404
    assert {name, queue} <= names(control)


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"LockDuration": "PT1H"}, "Properties.LockDuration"),
        ({"LockDuration": "soon"}, "Properties.LockDuration"),
        ({"MaxDeliveryCount": 0}, "Properties.MaxDeliveryCount"),
        ({"lockDuration": "PT5S"}, "Properties.lockDuration: Extra inputs"),
        ({"ForwardTo": "elsewhere"}, "Forwarding queues are not supported"),
    ],
)
def test_properties_are_held_to_the_rules_of_the_configuration(
    control: ControlClient, name: str, properties: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ControlError, match=complaint) as caught:
        control.create_queue(name, **properties)
    assert caught.value.status == 400
    assert name not in names(control)


@pytest.mark.parametrize("wrong", ["$cbs", "a b", "q/$deadletterqueue", "x" * 261, "é", "/", "a/"])
def test_a_name_that_service_bus_would_refuse_is_refused(control: ControlClient, wrong: str) -> None:
    with pytest.raises(ControlError, match="Name") as caught:
        control.create_queue(wrong)
    assert caught.value.status == 400
