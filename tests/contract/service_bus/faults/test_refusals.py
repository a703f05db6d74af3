import socket
import struct
from contextlib import suppress
from typing import get_args

import pytest
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    OperationTimeoutError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

from local.service_bus.amqp import encode
from local.service_bus.control.client import ControlClient
from local.service_bus.faults import Condition, Moment
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Endpoints, NewQueue, wait_until
from tests.contract.service_bus.faults.conftest import Active, send
from tests.contract.service_bus.test_robustness import AMQP, BEGIN, OPEN, read_to_end

EXCEPTIONS: dict[Condition, type[ServiceBusError]] = {
    "amqp:connection:forced": ServiceBusError,
    "amqp:internal-error": ServiceBusError,
    "amqp:link:detach-forced": ServiceBusConnectionError,
    "amqp:not-allowed": ServiceBusError,
    "amqp:not-found": MessagingEntityNotFoundError,
    "amqp:resource-limit-exceeded": ServiceBusQuotaExceededError,
    "amqp:unauthorized-access": ServiceBusAuthorizationError,
    "com.microsoft:auth-failed": ServiceBusAuthorizationError,
    "com.microsoft:entity-disabled": MessagingEntityDisabledError,
    "com.microsoft:server-busy": ServiceBusServerBusyError,
    "com.microsoft:timeout": OperationTimeoutError,
}


def test_every_condition_has_an_exception_here() -> None:
    assert set(EXCEPTIONS) == set(get_args(Condition))


@pytest.mark.parametrize("condition", EXCEPTIONS)
def test_a_refused_send_is_the_exception_of_its_condition(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active, condition: Condition
) -> None:
    sender = endpoints.sender(queue)
    control.refuse(condition, entity=queue)
    with pytest.raises(ServiceBusError, match=condition) as caught:
        send(sender)
    assert caught.type is EXCEPTIONS[condition]
    assert active(queue) == 0
    send(sender)
    assert active(queue) == 1


@pytest.mark.parametrize("condition", ["amqp:unauthorized-access", "com.microsoft:server-busy"])
def test_a_refused_attach_is_the_exception_of_its_condition(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active, condition: Condition
) -> None:
    control.refuse(condition, Moment.ATTACH, 2)
    for attach in (endpoints.sender, endpoints.receiver):
        with pytest.raises(ServiceBusError, match=condition) as caught:
            attach(queue)
        assert caught.type is EXCEPTIONS[condition]
    send(endpoints.sender(queue))
    assert active(queue) == 1


@pytest.mark.parametrize("condition", ["amqp:connection:forced", "com.microsoft:server-busy"])
def test_a_refused_connection_is_a_connection_error_with_its_condition(
    control: ControlClient, endpoints: Endpoints, queue: str, active: Active, condition: Condition
) -> None:
    fault_id = control.refuse(condition, Moment.CONNECT, None)
    for _ in range(2):
        with pytest.raises(ServiceBusConnectionError, match=condition):
            endpoints.sender(queue)
    control.lift(fault_id)
    send(endpoints.sender(queue))
    assert active(queue) == 1


def test_a_busy_service_is_bridged_by_retries(
    control: ControlClient, retrying: Endpoints, queue: str, active: Active
) -> None:
    sender = retrying.sender(queue)
    control.refuse("com.microsoft:server-busy", count=2)
    send(sender)
    assert active(queue) == 1
    assert control.faults() == []


def test_a_refused_attach_to_a_session_takes_no_session(
    control: ControlClient, endpoints: Endpoints, new_queue: NewQueue
) -> None:
    queue = new_queue(RequiresSession=True)
    control.refuse("com.microsoft:server-busy", Moment.ATTACH)
    with pytest.raises(ServiceBusServerBusyError):
        endpoints.receiver(queue, session_id="s")
    endpoints.receiver(queue, session_id="s")


def test_a_refused_connection_that_its_client_keeps_open_is_cut(
    control: ControlClient, emulator: EmulatorProcess
) -> None:
    control.refuse("com.microsoft:server-busy", Moment.CONNECT)
    with socket.create_connection(("127.0.0.1", emulator.amqp_port), timeout=60) as raw:
        raw.sendall(AMQP + OPEN)
        assert read_to_end(raw).count(b"com.microsoft:server-busy") == 1
        with suppress(BrokenPipeError, ConnectionResetError):  # it is cut already
            raw.sendall(BEGIN)
        wait_until(lambda: is_cut(raw))


def test_frames_after_the_open_of_a_refused_connection_are_ignored(
    control: ControlClient, emulator: EmulatorProcess, new_queue: NewQueue, active: Active
) -> None:
    heard, unheard = new_queue(), new_queue()
    with (
        socket.create_connection(("127.0.0.1", emulator.amqp_port), timeout=60) as accepted,
        socket.create_connection(("127.0.0.1", emulator.amqp_port), timeout=60) as refused,
    ):
        accepted.sendall(AMQP + OPEN + BEGIN)
        answer = b""
        while BEGIN_CODE not in answer:
            received = accepted.recv(65_536)
            assert received, answer
            answer += received
        control.refuse("com.microsoft:server-busy", Moment.CONNECT)
        refused.sendall(AMQP + OPEN + BEGIN)
        assert b"server-busy" in read_to_end(refused)
        with suppress(BrokenPipeError, ConnectionResetError):  # after two seconds it is cut
            refused.sendall(attach_sender(unheard) + TRANSFER)
        accepted.sendall(attach_sender(heard) + TRANSFER)
        wait_until(lambda: active(heard) == 1)
    assert active(unheard) == 0


BEGIN_CODE = b"\x00\x53\x11"


def frame(code: int, fields: list[bytes], payload: bytes = b"") -> bytes:
    content = encode.described(code, encode.list_of(fields)) + payload
    return struct.pack(">IBBH", 8 + len(content), 2, 0, 0) + content


def attach_sender(queue: str) -> bytes:
    null = encode.NULL
    target = encode.described(0x29, encode.list_of([encode.string(queue)]))
    fields = [encode.string("link"), encode.uint(0), encode.FALSE, null, null, null, target, null, null, encode.uint(0)]
    return frame(0x12, fields)


TRANSFER = frame(0x14, [encode.uint(0), encode.uint(0), encode.binary(b"tag")], b"\x00\x53\x75\xa0\x01x")


def is_cut(raw: socket.socket) -> bool:
    try:
        raw.sendall(b"\x00\x00\x00\x08\x02\x00\x00\x00")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False
