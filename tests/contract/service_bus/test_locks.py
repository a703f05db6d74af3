"""Lock tokens, and how long a lock lasts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import MessageLockLostError

from tests.contract.service_bus.clients import Sdk
from tests.contract.service_bus.conftest import (
    Counts,
    Endpoints,
    NewQueue,
    has_passed,
    numbered,
    receive,
    receive_one,
    wait_until,
)

Settle = Callable[[ServiceBusReceiver, ServiceBusReceivedMessage], None]

SETTLEMENTS: dict[str, Settle] = {
    "complete": lambda receiver, message: receiver.complete_message(message),
    "abandon": lambda receiver, message: receiver.abandon_message(message),
    "defer": lambda receiver, message: receiver.defer_message(message),
    "dead-letter": lambda receiver, message: receiver.dead_letter_message(message, reason="r"),
}


def token_of(message: ServiceBusReceivedMessage) -> UUID:
    assert isinstance(message.lock_token, UUID)
    return message.lock_token


def test_every_delivery_has_a_lock_token_of_its_own(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(numbered(3))
    tokens = [token_of(message) for message in receive(receiver, 3)]
    assert len(set(tokens)) == 3


def test_a_message_that_is_delivered_again_has_another_token_and_the_same_number(
    endpoints: Endpoints, queue: str
) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    message = receive_one(receiver)
    token = token_of(message)
    receiver.abandon_message(message)
    again = receive_one(receiver)
    assert token_of(again) != token
    assert again.sequence_number == message.sequence_number == 1


@pytest.mark.parametrize("settlement", SETTLEMENTS)
def test_a_lock_that_was_lost_settles_nothing(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts, settlement: str
) -> None:
    queue = new_queue("short-lock")
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    message = receive_one(receiver)
    wait_until(lambda: counts(queue).active == 1)
    # The client sends nothing when its own copy of the lock's end has passed, so the test extends that copy.
    message._expiry = datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(MessageLockLostError):
        SETTLEMENTS[settlement](receiver, message)
    assert counts(queue).active == 1


@pytest.mark.parametrize("settlement", SETTLEMENTS)
def test_a_lock_outlives_its_receiver_and_another_may_settle_it(
    client: ServiceBusClient, endpoints: Endpoints, queue: str, counts: Counts, settlement: str
) -> None:
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    with client.get_queue_receiver(queue) as first:
        message = receive_one(first)
    assert counts(queue).locked == 1
    SETTLEMENTS[settlement](endpoints.receiver(queue), message)
    now = counts(queue)
    outcome = {"complete": 0, "abandon": now.active, "defer": now.deferred, "dead-letter": now.dead_letter}
    assert (now.locked, outcome[settlement]) == (0, settlement != "complete")


def test_a_message_whose_lock_ends_too_often_is_dead_lettered(
    endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("short-lock")
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    assert [receive_one(receiver).delivery_count for _ in range(3)] == [0, 1, 2]
    wait_until(lambda: counts(queue).dead_letter == 1)
    [dead] = endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER).receive_messages(1, max_wait_time=30)
    assert (dead.dead_letter_reason, dead.delivery_count) == ("MaxDeliveryCountExceeded", 3)


def test_renewing_tells_when_the_lock_ends_now(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    message = receive_one(receiver)
    before = message.locked_until_utc
    until = receiver.renew_message_lock(message)
    assert before
    assert before < until < datetime.now(UTC) + timedelta(minutes=1, seconds=1)
    assert message.locked_until_utc == until


def test_the_lock_of_a_dead_letter_can_be_renewed(endpoints: Endpoints, queue: str) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("a"))
    receiver.dead_letter_message(receive_one(receiver))
    dead = endpoints.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    message = receive_one(dead)
    before = message.locked_until_utc
    assert before
    assert dead.renew_message_lock(message) > before
    dead.complete_message(message)


def test_a_receiver_can_be_given_a_lock_renewer(
    sdk: Sdk, endpoints: Endpoints, new_queue: NewQueue, counts: Counts
) -> None:
    queue = new_queue("steady-lock")
    endpoints.sender(queue).send_messages(numbered(2))
    with sdk.new_renewer() as renewer:
        receiver = endpoints.receiver(queue, auto_lock_renewer=renewer)
        messages = receive(receiver, 2)
        first_ends = [message.locked_until_utc for message in messages]
        wait_until(lambda: all(map(has_passed, first_ends)))
        for message in messages:
            receiver.complete_message(message)
    assert (counts(queue).locked, counts(queue).active) == (0, 0)
