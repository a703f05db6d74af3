import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from repositories import storage_account, storage_queue_counts
from repositories.storage_queues import StorageQueueRepository
from tests.support.waiting import LONG_SECONDS

NewRepository = Callable[..., StorageQueueRepository]


@pytest.fixture(autouse=True)
def _patient_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that give up on no request to a slow account."""
    for module, name in (
        (storage_account, "_CONNECT_SECONDS"),
        (storage_account, "_READ_SECONDS"),
        (storage_queue_counts, "_SECONDS"),
    ):
        monkeypatch.setattr(module, name, LONG_SECONDS)


@pytest.fixture
def account(azurite: Azurite) -> Iterator[QueueServiceClient]:
    """The other side of the queues."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
        yield account


@pytest.fixture
def name() -> str:
    """The name of a queue that no other test has."""
    return f"sb-{uuid.uuid4().hex}"


@pytest.fixture
def repository(azurite: Azurite) -> Iterator[NewRepository]:
    """Makes repositories, which own the queues that are given."""
    with ExitStack() as stack:

        def make(*queues: str) -> StorageQueueRepository:
            client = storage_account.by_connection_string(azurite.connection_string)
            return stack.enter_context(closing(StorageQueueRepository(client, queues, LONG_SECONDS, LONG_SECONDS)))

        yield make
