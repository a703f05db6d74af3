"""How the messages of a test's app travel, and the mailbox that receives them.

`LOCKSTEP_TEST_TRANSPORT` names one of `TRANSPORTS`: the fixtures `build_app` and `mailbox` go this way.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus import ServiceBusClient
from azure.storage.queue import QueueServiceClient
from typing_extensions import override

from core.lanes import QUEUES, Transport
from local.azurite import ACCOUNT, KEY, Azurite
from local.ports import HOST
from local.service_bus.process import EmulatorProcess
from tests.support.broker_mailboxes import ServiceBusMailbox, StorageMailbox
from tests.support.mailbox import Mailbox


class AppTransport(ABC):
    """A running broker, or a storage account.

    Attributes:
        settings: the app's settings of it.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings

    @classmethod
    @abstractmethod
    def of_worker(cls, request: pytest.FixtureRequest) -> "AppTransport":
        """That of all tests of a pytest worker, without messages."""

    @classmethod
    @abstractmethod
    def settings_at(cls, port: int) -> Mapping[str, str]:
        """The app's settings of one that listens on this port of loopback, or will."""

    @classmethod
    @abstractmethod
    def started(cls, port: int) -> AbstractContextManager["AppTransport"]:
        """A new one on this port, which is stopped at the end of the block, and its messages are lost."""

    @abstractmethod
    def mailbox(self) -> AbstractContextManager[Mailbox]:
        """Receives from the queues."""


class ServiceBusTransport(AppTransport):
    """The emulator of Service Bus."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        super().__init__({"ServiceBusConnection": emulator.connection_string})
        self._emulator = emulator

    @classmethod
    @override
    def of_worker(cls, request: pytest.FixtureRequest) -> AppTransport:
        return cls(request.getfixturevalue("service_bus"))

    @classmethod
    @override
    def settings_at(cls, port: int) -> Mapping[str, str]:
        name = "SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true;"
        return {"ServiceBusConnection": f"Endpoint=sb://{HOST}:{port};{name}"}

    @classmethod
    @override
    @contextmanager
    def started(cls, port: int) -> Iterator[AppTransport]:
        with EmulatorProcess.start(port=port) as emulator:
            yield cls(emulator)

    @override
    @contextmanager
    def mailbox(self) -> Iterator[Mailbox]:
        with ServiceBusClient.from_connection_string(self._emulator.connection_string) as client:
            yield ServiceBusMailbox(self._emulator, client)


class StorageTransport(AppTransport):
    """The queues of Azurite."""

    @classmethod
    @override
    def of_worker(cls, request: pytest.FixtureRequest) -> AppTransport:
        azurite: Azurite = request.getfixturevalue("azurite")
        with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
            for queue in QUEUES:
                with suppress(ResourceNotFoundError):
                    account.get_queue_client(queue).clear_messages()
        return cls({"StorageConnection": azurite.connection_string})

    @classmethod
    @override
    def settings_at(cls, port: int) -> Mapping[str, str]:
        account = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        return {"StorageConnection": f"{account}QueueEndpoint=http://{HOST}:{port}/{ACCOUNT};"}

    @classmethod
    @override
    @contextmanager
    def started(cls, port: int) -> Iterator[AppTransport]:
        with TemporaryDirectory() as directory, Azurite.start(Path(directory, "log"), queue_port=port) as azurite:
            yield cls({"StorageConnection": azurite.connection_string})

    @override
    @contextmanager
    def mailbox(self) -> Iterator[Mailbox]:
        connection = self.settings["StorageConnection"]
        with QueueServiceClient.from_connection_string(connection) as account, ThreadPoolExecutor(10) as threads:
            yield StorageMailbox(account, threads)


TRANSPORTS: Mapping[Transport, type[AppTransport]] = {
    Transport.SERVICE_BUS: ServiceBusTransport,
    Transport.STORAGE: StorageTransport,
}


def chosen_transport() -> Transport:
    """The transport that the environment names.

    Raises:
        ValueError: there is none of this name.
    """
    return Transport(os.environ.get("LOCKSTEP_TEST_TRANSPORT") or Transport.SERVICE_BUS)
