"""The engine on the real database and the real broker, with job types that tests control.

`LOCKSTEP_TEST_TRANSPORT` says which broker that is (`tests/support/app_transport.py`); a test that is about Service Bus
says why by the marker `service_bus_only`, and is no test of the other.
"""

import math
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

import bootstrap
from controllers.base import JobController
from core.lanes import Transport
from engine.tasks.worker import Worker
from local.service_bus.process import EmulatorProcess
from settings import Settings
from tests.support.app_database import AppDatabase
from tests.support.app_transport import TRANSPORTS, AppTransport, chosen_transport
from tests.support.long_deadlines import LONG_DEADLINES, lengthen_deadlines
from tests.support.mailbox import Mailbox
from wiring import App

BuildApp = Callable[..., App]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is about Service Bus where the messages travel by something else."""
    if chosen_transport() == Transport.SERVICE_BUS:
        return
    left_out = [item for item in items if item.get_closest_marker("service_bus_only")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def long_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """No deadline of the app is over because the machine is busy; a test of a deadline sets that itself."""
    lengthen_deadlines(monkeypatch)


@pytest.fixture
def late_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has tasks start however late their thread comes to them; a run with a short lease would release them."""
    monkeypatch.setattr(Worker, "_start_until", lambda _: math.inf)


@pytest.fixture
def build_app(app_database: AppDatabase, app_transport: AppTransport) -> Iterator[BuildApp]:
    """Builds several apps on one database and one broker, as the processes of a deployment are.

    An app with a database or a broker of its own reaches it as these settings say.
    """
    apps: list[App] = []

    def build(controllers: Iterable[type[JobController[Any]]], **environment: str) -> App:
        database = {} if "DATABASE_URL" in environment else app_database.settings
        settings = Settings.from_environment({**app_transport.settings, **database, **LONG_DEADLINES, **environment})
        apps.append(bootstrap.build(settings, controllers))
        return apps[-1]

    yield build
    with ThreadPoolExecutor(16) as threads:  # a client takes up to a second to close
        list(threads.map(lambda app: app.close(), apps))


@pytest.fixture
def service_bus(service_bus: EmulatorProcess) -> EmulatorProcess:
    """The emulator without messages: those that another test has scheduled must not arrive here."""
    service_bus.control.restart(lose_messages=True)
    return service_bus


@pytest.fixture
def app_transport(request: pytest.FixtureRequest) -> AppTransport:
    """The transport of the app, without messages."""
    return TRANSPORTS[chosen_transport()].of_worker(request)


@pytest.fixture
def mailbox(app_transport: AppTransport) -> Iterator[Mailbox]:
    """Receives from the queues."""
    with app_transport.mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def client_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the client's sockets at the end; the client itself does not close those of broken connections."""
    with ExitStack() as opened:
        # TLS takes the descriptor over: then it is the wrapping socket that nobody closes.
        for owner, name in ((socket, "create_connection"), (ssl.SSLContext, "wrap_socket")):
            monkeypatch.setattr(owner, name, _entered(opened, getattr(owner, name)))
        yield


def _entered(opened: ExitStack, make: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    """The same maker of sockets, whose sockets `opened` closes."""
    return lambda *args, **named: opened.enter_context(make(*args, **named))
