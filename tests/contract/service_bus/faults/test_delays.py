import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusConnectionError

from local.service_bus.control.client import ControlClient
from tests.contract.service_bus.conftest import Endpoints, body, receive_one, wait_until
from tests.contract.service_bus.faults.conftest import Active, send


def test_a_delay_holds_back_the_answers(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active
) -> None:
    sender = endpoints.sender(queue)
    control.delay(300)
    begin = time.monotonic()
    send(sender)
    assert time.monotonic() - begin >= 0.3
    assert active(queue) == 1


def test_a_delay_keeps_the_order(control: ControlClient, endpoints: Endpoints, queue: str) -> None:
    sender, receiver = endpoints.sender(queue), endpoints.receiver(queue)
    control.delay(50)
    texts = [f"{number}" for number in range(20)]
    sender.send_messages([ServiceBusMessage(text) for text in texts])
    received = [body(receive_one(receiver)).decode() for _ in texts]
    assert received == texts


@pytest.mark.parametrize("lifted", ["cleared", "replaced"])
def test_delayed_answers_are_written_when_the_delay_is_lifted(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active, lifted: str
) -> None:
    sender = endpoints.sender(queue)
    control.delay(600_000)
    with ThreadPoolExecutor() as executor:
        sent = executor.submit(send, sender)
        wait_until(lambda: active(queue) == 1)
        assert not sent.done()
        if lifted == "cleared":
            control.clear_faults()
        else:
            control.delay(1)
        sent.result(timeout=60)
    send(sender)
    assert active(queue) == 2


def test_a_delayed_connection_can_be_dropped(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active
) -> None:
    sender = endpoints.sender(queue)
    control.delay(600_000)
    with ThreadPoolExecutor() as executor:
        sent = executor.submit(send, sender)
        wait_until(lambda: active(queue) == 1)
        assert control.drop_connections() > 0
        with pytest.raises(ServiceBusConnectionError):
            sent.result(timeout=60)
    control.clear_faults()
    send(sender)
