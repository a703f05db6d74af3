"""The engine on the real database and the real broker, with job types that tests control."""

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

import bootstrap
from bootstrap import App
from controllers.base import JobController
from local.service_bus.process import EmulatorProcess
from settings import Settings
from tests.integration.messages import Mailbox
from tests.support.app_database import AppDatabase

BuildApp = Callable[..., App]


@pytest.fixture
def build_app(app_database: AppDatabase, service_bus: EmulatorProcess) -> Iterator[BuildApp]:
    """Builds several apps on one database and one broker, as the processes of a deployment are.

    An app with a database of its own, `DATABASE_URL`, reaches it as that says.
    """
    apps: list[App] = []

    def build(controllers: Iterable[type[JobController[Any]]], **environment: str) -> App:
        database = {} if "DATABASE_URL" in environment else app_database.settings
        settings = Settings.from_environment(
            {"ServiceBusConnection": service_bus.connection_string, **database, **environment}
        )
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
def mailbox(service_bus: EmulatorProcess) -> Iterator[Mailbox]:
    """Receives from the queues."""
    with Mailbox.on(service_bus) as mailbox:
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
