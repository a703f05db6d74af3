"""How many clients of the SDK the broker's repository opens."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import Any, TypeVar

import pytest
from azure.servicebus import ServiceBusClient
from typing_extensions import override

from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage
from repositories import service_bus
from repositories.broker_calls import BrokerCalls, Connection
from repositories.service_bus import ServiceBusRepository
from tests.support.waiting import LONG_SECONDS

AT_ONCE = 4
SECONDS = LONG_SECONDS
T = TypeVar("T")


class Calls(BrokerCalls):
    """Sends take no time but that of `meet`."""

    def __init__(self, meet: Callable[[], object]) -> None:
        super().__init__()
        self._meet = meet
        self.clients: set[Connection] = set()

    @override
    def run(self, action: Callable[[], T], connection: Connection, seconds: float) -> Any:
        self.clients.add(connection)
        self._meet()


def new_client() -> ServiceBusClient:
    connection = "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any"
    return ServiceBusClient.from_connection_string(connection)


def send_at_once(calls: Calls) -> int:
    """Sends from several threads at once; returns how many clients were used."""
    with closing(ServiceBusRepository(new_client, [], calls=calls)) as queue, ThreadPoolExecutor(AT_ONCE) as threads:

        def send(_: int) -> bool:
            return queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")]).success

        assert all(threads.map(send, range(AT_ONCE)))
    return len(calls.clients)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_bus, "_LONG_WAIT_SECONDS", SECONDS)


@pytest.mark.usefixtures("patient")
def test_sends_that_end_soon_share_a_client() -> None:
    pause = threading.Event()
    assert send_at_once(Calls(lambda: pause.wait(0.02))) == 1


def test_each_of_several_long_sends_has_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_bus, "_OPENING_SECONDS", 0.01)
    together = threading.Barrier(AT_ONCE)
    assert send_at_once(Calls(lambda: together.wait(SECONDS))) == AT_ONCE


def test_no_more_clients_are_opened_at_a_time_than_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_bus, "_OPENING_SECONDS", SECONDS)
    monkeypatch.setattr(service_bus, "_LONG_WAIT_SECONDS", 0.001)
    go_on, too_many = threading.Event(), threading.Event()
    sends = count(1)

    def meet() -> None:
        number = next(sends)
        if number > 3:  # the first one has opened a client; another send uses it, and a third opens one more
            too_many.set()
        if number > 1:
            go_on.wait(SECONDS)

    calls = Calls(meet)
    with closing(ServiceBusRepository(new_client, [], calls=calls)) as queue, ThreadPoolExecutor(AT_ONCE) as threads:

        def send() -> bool:
            return queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")]).success

        assert send()
        sent = [threads.submit(send) for _ in range(AT_ONCE)]
        were_too_many = too_many.wait(0.05)
        go_on.set()
        assert all(each.result() for each in sent)
    assert not were_too_many
