"""A storage account that accepts connections and does not answer: it holds no thread for longer than a deadline."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from azure.storage.queue import QueueServiceClient

from core.errors import QueueError, QueueTimeoutError, QueueUnavailableError
from core.lanes import poison_queue
from core.messages import OutgoingMessage
from local.azurite import ACCOUNT, KEY, Azurite
from repositories import storage_account
from repositories.breaker import MOST_HANGING, Breaker
from repositories.broker_calls import BrokerCalls
from repositories.ports import SendResult
from repositories.storage_account import StorageAccount
from repositories.storage_calls import SERVICE, StorageCalls
from repositories.storage_poison_queues import StoragePoisonQueues
from repositories.storage_queues import StorageQueueRepository
from tests.support.silence import Relay
from tests.support.waiting import LONG_SECONDS, wait_until

_SHORT_SECONDS = 0.4
_LONG_SECONDS = LONG_SECONDS
"""For an account that answers."""

_WIDE_SECONDS = 60.0
"""Far longer than the short deadlines, far shorter than the client's own waits."""

pytestmark = pytest.mark.usefixtures("client_sockets")


@pytest.fixture
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the threads of calls that were given up end within the test."""
    monkeypatch.setattr(storage_account, "_READ_SECONDS", 1.0)


@pytest.fixture
def name(azurite: Azurite) -> str:
    """A queue that no other test has."""
    name = f"sb-{uuid.uuid4().hex}"
    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
        account.create_queue(name)
        account.create_queue(poison_queue(name))
    return name


@pytest.fixture
def relay(azurite: Azurite) -> Iterator[Relay]:
    """An account that can fall silent."""
    with Relay(urlsplit(azurite.queue_url).port) as relay:
        yield relay


@pytest.fixture
def account(relay: Relay) -> Iterator[StorageAccount]:
    url = f"http://127.0.0.1:{relay.port}/{ACCOUNT}"
    string = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={url};"
    with storage_account.by_connection_string(string) as account:
        yield account


def threads(most_unanswered: int = 1_000, clock: Callable[[], float] = time.monotonic) -> BrokerCalls:
    return BrokerCalls(Breaker(most_unanswered, 1_000, clock=clock, service=SERVICE), cut_every_seconds=0.05)


def repository(
    account: StorageAccount, name: str, calls: BrokerCalls, seconds: float = _LONG_SECONDS
) -> StorageQueueRepository:
    return StorageQueueRepository(account, [name], seconds, seconds, StorageCalls(calls))


@contextmanager
def impatient(queue: StorageQueueRepository) -> Iterator[None]:
    """The calls of the block have a short deadline."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_send_seconds", "_ping_seconds"):
            patch.setattr(queue, name, _SHORT_SECONDS)
        yield


def send(queue: StorageQueueRepository, name: str, count: int = 1) -> SendResult:
    return queue.batch_send_messages(name, [OutgoingMessage(b"{}", "id")] * count)


def raised(result: SendResult) -> None:
    if result.error is not None:
        raise result.error


def error_of(action: Callable[[], object]) -> type[QueueError] | None:
    """Runs an action, which must end long before the client itself gives up."""
    began = time.monotonic()
    try:
        action()
    except QueueError as exc:
        return type(exc)
    finally:
        assert time.monotonic() - began < _WIDE_SECONDS
    return None


def test_a_send_and_a_ping_end_at_their_deadlines(account: StorageAccount, relay: Relay, name: str) -> None:
    with closing(repository(account, name, threads())) as queue:
        assert send(queue, name).success
        relay.silence()
        with impatient(queue):
            assert error_of(lambda: raised(send(queue, name, 30))) is QueueTimeoutError
            assert error_of(queue.ping) is QueueTimeoutError
        relay.answer_again()
        queue.ping()
        assert send(queue, name).success


@pytest.mark.usefixtures("short_reads")
def test_the_threads_of_calls_that_were_given_up_end_too(account: StorageAccount, relay: Relay, name: str) -> None:
    calls = threads()
    relay.silence()
    with closing(repository(account, name, calls)) as queue:
        with impatient(queue), pytest.raises(QueueError):
            queue.ping()
        wait_until(lambda: calls.breaker.hanging == 0)
        relay.answer_again()
        wait_until(lambda: send(queue, name).success)


def test_the_poison_queues_have_a_deadline_too(account: StorageAccount, relay: Relay, name: str) -> None:
    poison = StoragePoisonQueues(account, _SHORT_SECONDS, StorageCalls(threads()))
    account.get_queue_client(poison_queue(name)).send_message("dead")
    (message,) = StoragePoisonQueues(account).take(name)
    relay.silence()
    assert error_of(lambda: poison.take(name)) is QueueTimeoutError
    assert error_of(lambda: poison.delete(name, message)) is QueueTimeoutError
    relay.answer_again()
    poison._seconds = _LONG_SECONDS
    poison.delete(name, message)


def test_after_calls_without_an_answer_the_next_ones_fail_at_once_until_a_trial_is_answered(
    account: StorageAccount, relay: Relay, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By a clock that the test moves: no trial is due before."""
    caplog.set_level(logging.WARNING)
    now = [0.0]
    with closing(repository(account, name, threads(most_unanswered=3, clock=lambda: now[0]))) as queue:
        relay.silence()
        with impatient(queue), ThreadPoolExecutor(3) as senders:
            found = list(senders.map(lambda _: send(queue, name).error, range(3)))
        assert {type(error) for error in found} == {QueueTimeoutError}
        assert {type(send(queue, name, 100).error) for _ in range(20)} == {QueueUnavailableError}
        relay.answer_again()
        now[0] = 60.0
        assert send(queue, name, 10).success
    opened, closed = (record.getMessage() for record in caplog.records if record.name == "repositories.breaker")
    assert "the storage account did not answer 3 calls in a row" in opened
    assert "the storage account answers again" in closed


def test_a_silent_account_has_few_threads_whatever_is_sent(account: StorageAccount, relay: Relay, name: str) -> None:
    calls = BrokerCalls(Breaker(pause_seconds=0.05, service=SERVICE), cut_every_seconds=0.05)
    with closing(repository(account, name, calls, _SHORT_SECONDS)) as queue:
        relay.silence()
        with ThreadPoolExecutor(8) as senders:
            results = list(senders.map(lambda _: send(queue, name, 100), range(40)))
        assert not any(result.success for result in results)
        assert calls.breaker.is_open
        assert 0 < calls.breaker.hanging <= MOST_HANGING + 10
        relay.close()
        wait_until(lambda: calls.breaker.hanging == 0)


def test_a_slow_account_that_answers_does_not_open_the_breaker(
    account: StorageAccount, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that takes too long has failed; but each of its calls had an answer."""
    calls = threads(most_unanswered=1)
    elapsed = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            elapsed[0] += 10.0  # each look at the clock finds it so much later
            return elapsed[0]

    monkeypatch.setattr("repositories.storage_calls.time", Clock)
    with closing(repository(account, name, calls, seconds=55.0)) as queue:
        result = send(queue, name, 100)
    assert isinstance(result.error, QueueTimeoutError)
    assert "of 100 calls" in str(result.error)
    assert not calls.breaker.is_open
