from collections.abc import Iterator

import pytest
from azure.storage.queue import QueueServiceClient

from core.errors import CountsUnavailableError
from core.lanes import poison_queue
from local.azurite import ACCOUNT, KEY, Azurite
from repositories import storage_account
from repositories.ports import MessageCounts
from repositories.storage_account import StorageAccount
from repositories.storage_poison_queues import StoragePoisonQueues
from repositories.storage_queue_counts import StorageQueueCounts
from tests.support.ports import lasting_port
from tests.support.waiting import LONG_SECONDS


@pytest.fixture
def client(azurite: Azurite) -> Iterator[StorageAccount]:
    with storage_account.by_connection_string(azurite.connection_string) as client:
        yield client


def test_messages_are_counted_with_those_for_later_and_those_in_the_poison_queue(
    client: StorageAccount, account: QueueServiceClient, name: str
) -> None:
    assert StorageQueueCounts(client).counts(name) == MessageCounts(0, None, 0)  # it is not there yet
    queue, poison = account.create_queue(name), account.create_queue(poison_queue(name))
    queue.send_message("now")
    queue.send_message("later", visibility_timeout=3600)
    poison.send_message("dead")
    assert StorageQueueCounts(client).counts(name) == MessageCounts(2, None, 1)


def test_an_account_that_cannot_be_reached_counts_nothing_and_names_no_host(name: str) -> None:
    url = f"http://127.0.0.1:{lasting_port()}/{ACCOUNT}"
    string = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={url};"
    with (
        storage_account.by_connection_string(string) as client,
        pytest.raises(CountsUnavailableError, match=r"^the storage account cannot be reached$"),
    ):
        StorageQueueCounts(client).counts(name)


def test_poison_messages_are_taken_once_and_gone_when_they_are_deleted(
    client: StorageAccount, account: QueueServiceClient, name: str
) -> None:
    poison = StoragePoisonQueues(client, LONG_SECONDS)
    assert poison.take(name) == []  # it is not there yet
    dead = account.create_queue(poison_queue(name))
    for number in range(40):
        dead.send_message(f"message {number}")
    taken = [*poison.take(name), *poison.take(name)]
    assert {each.raw.body for each in taken} == {f"message {number}".encode() for number in range(40)}
    assert {each.raw.delivery_count for each in taken} == {1}
    assert all(each.raw.message_id for each in taken)
    assert poison.take(name) == []
    for each in taken:
        poison.delete(name, each)
        poison.delete(name, each)  # once more does no harm
    assert dead.get_queue_properties().approximate_message_count == 0
