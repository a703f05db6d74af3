import random
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from azure.servicebus import ServiceBusMessage

from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Counts, Drop, Endpoints, body, receive_one

SASL = b"AMQP\x03\x01\x00\x00"
AMQP = b"AMQP\x00\x01\x00\x00"
INIT = b"\x00\x00\x00\x19\x02\x01\x00\x00\x00\x53\x41\xc0\x0c\x01\xa3\x09ANONYMOUS"
OPEN = b"\x00\x00\x00\x12\x02\x00\x00\x00\x00\x53\x10\xc0\x05\x01\xa1\x02me"
BEGIN = b"\x00\x00\x00\x17\x02\x00\x00\x00\x00\x53\x11\xc0\x0a\x04\x40\x43\x70\x00\x00\x08\x00\x52\x7f"


# In tests of raw connections, the client only checks that the emulator still works.
one_client_will_do = pytest.mark.parametrize("connect", ["sync"], indirect=True)


@contextmanager
def connection(emulator: EmulatorProcess) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", emulator.amqp_port), timeout=60)) as raw:
        yield raw


def read_to_end(raw: socket.socket) -> bytes:
    """Reads until the emulator closes or resets the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := raw.recv(65_536):
            received += chunk
    return received


def still_works(endpoints: Endpoints, queue: str) -> bool:
    endpoints.sender(queue).send_messages(ServiceBusMessage("still here"))
    return body(receive_one(endpoints.receiver(queue))) == b"still here"


@one_client_will_do
@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00" * 64,
        b"AMQP\x02\x01\x00\x00",
        SASL + b"\xff\xff\xff\xff\x02\x01\x00\x00",
        SASL + b"\x00\x00\x00\x04\x02\x01\x00\x00",
        SASL + INIT + AMQP + b"\xff\xff\xff\xff\x02\x00\x00\x00",
        SASL + INIT + AMQP + b"\x00\x00\x00\x08\x01\x00\x00\x00",
        SASL + INIT + AMQP + b"\x00\x00\x00\x0c\x02\x00\x00\x00\xde\xad\xbe\xef",
        AMQP + OPEN + b"\x00\x00\x00\x10\x02\x00\x00\x00\x00\x53\x14\xd0\xff\xff\xff\xff",
        AMQP + OPEN + BEGIN + b"\x00\x00\x00\x0e\x02\x00\x00\x00\x00\x53\x12\xc0\x01\x00",
    ],
    ids=range(10),
)
def test_garbage_ends_its_own_connection_only(
    emulator: EmulatorProcess, endpoints: Endpoints, queue: str, garbage: bytes
) -> None:
    with connection(emulator) as raw:
        raw.sendall(garbage)
        read_to_end(raw)
    assert still_works(endpoints, queue)


@one_client_will_do
def test_random_frames_never_bring_the_emulator_down(
    emulator: EmulatorProcess, endpoints: Endpoints, queue: str
) -> None:
    dice = random.Random(20)
    for _ in range(200):
        frames = b""
        for _ in range(dice.randrange(1, 6)):
            code = dice.choice([0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, dice.randrange(256)])
            content = bytes([0xC0, 0, 0]) + dice.randbytes(dice.randrange(40))
            content = bytes([0xC0, len(content) - 2, dice.randrange(12)]) + content[3:]
            frames += (
                struct.pack(">IBBH", 11 + len(content), 2, 0, dice.randrange(2)) + b"\x00\x53" + bytes([code]) + content
            )
        with connection(emulator) as raw:
            raw.sendall(AMQP + OPEN + BEGIN + frames)
            raw.shutdown(socket.SHUT_WR)
            read_to_end(raw)
    assert still_works(endpoints, queue)


def test_bytes_may_arrive_one_by_one(emulator: EmulatorProcess) -> None:
    with connection(emulator) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in SASL + INIT + AMQP + OPEN + b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x18\x45":
            raw.sendall(bytes([byte]))
        answer = read_to_end(raw)
    assert answer.startswith(SASL)
    assert b"MSSBCBS" in answer
    assert AMQP in answer


def test_a_client_may_begin_without_sasl(emulator: EmulatorProcess) -> None:
    with connection(emulator) as raw:
        raw.sendall(AMQP + OPEN + b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x18\x45")
        assert read_to_end(raw).startswith(AMQP)


def test_a_sender_and_a_receiver_recover_from_a_dropped_connection(
    endpoints: Endpoints, queue: str, counts: Counts, drop: Drop
) -> None:
    sender, receiver = endpoints.sender(queue), endpoints.receiver(queue)
    sender.send_messages(ServiceBusMessage("before"))
    before = receive_one(receiver)
    drop(sender)
    sender.send_messages(ServiceBusMessage("after"))
    drop(receiver)
    after = receive_one(receiver)
    assert body(after) == b"after"
    receiver.complete_message(after)
    # The receiver's link has ended, but its lock has not.
    receiver.complete_message(before)
    assert (counts(queue).active, counts(queue).locked) == (0, 0)


def test_messages_of_a_lost_receiver_stay_locked(endpoints: Endpoints, queue: str, counts: Counts, drop: Drop) -> None:
    receiver = endpoints.receiver(queue)
    endpoints.sender(queue).send_messages(ServiceBusMessage("x"))
    receive_one(receiver)
    drop(receiver)
    assert endpoints.receiver(queue).receive_messages(1, max_wait_time=0.5) == []
    assert counts(queue).locked == 1
