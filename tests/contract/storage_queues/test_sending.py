"""What is particular to Storage Queues: one call a message, whole seconds of delay, no dead-letter queue."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from azure.core.exceptions import AzureError, ServiceRequestTimeoutError, ServiceResponseTimeoutError
from azure.storage.queue import QueueServiceClient

from core.errors import MessageTooLargeError, QueueNotFoundError, QueueTimeoutError, QueueUnavailableError
from core.messages import OutgoingMessage, TaskMessage
from local.azurite import ACCOUNT, KEY, Azurite
from repositories import storage_account
from repositories.storage_queues import MAX_MESSAGE_BYTES, StorageQueueRepository
from tests.contract.storage_queues.conftest import NewRepository
from tests.support.ports import lasting_port
from tests.support.waiting import LONG_SECONDS, wait_until


def message(text: str, enqueue_at: datetime | None = None) -> OutgoingMessage:
    return OutgoingMessage(text.encode(), text, enqueue_at)


def batch(count: int) -> list[OutgoingMessage]:
    return [message(f"message {number}") for number in range(count)]


def left(account: QueueServiceClient, queue: str) -> int:
    return account.get_queue_client(queue).get_queue_properties().approximate_message_count or 0


@contextmanager
def proxy(
    azurite: Azurite, taken: int, then: str, gate: threading.Event | None = None
) -> Iterator[tuple[str, list[str]]]:
    """An account that takes some messages, and then refuses the others, does not answer, or names another host.

    It takes them when the gate is open, if there is one.
    """
    behind = urlsplit(azurite.queue_url).netloc
    release = threading.Event()
    posted: list[str] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                posted.append(self.path)
                is_over = len(posted) > taken
            if is_over and then.startswith("http:"):
                self.send_response(307)
                self.send_header("Location", f"{then}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if is_over and then == "silence":
                release.wait(LONG_SECONDS)
                return
            if is_over:
                refusal = b"<?xml version='1.0'?><Error><Code>AuthorizationFailure</Code><Message>No.</Message></Error>"
                self.send_response(403)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(refusal)))
                self.end_headers()
                self.wfile.write(refusal)
                return
            if gate is not None:
                gate.wait(LONG_SECONDS)
            url, headers = f"http://{behind}{self.path}", dict(self.headers)
            answer = httpx.request(
                self.command, url, content=body, headers=headers, timeout=LONG_SECONDS, trust_env=False
            )
            self.send_response(answer.status_code)
            for header, value in answer.headers.items():
                if header.lower() not in {"transfer-encoding", "connection", "keep-alive", "content-length"}:
                    self.send_header(header, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PUT = do_POST = handle_any  # noqa: N815 - the names of the standard library

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{ACCOUNT}", posted
        finally:
            release.set()
            server.shutdown()
            thread.join()


def through(url: str, queue: str, seconds: float = LONG_SECONDS) -> StorageQueueRepository:
    string = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={url};"
    return StorageQueueRepository(storage_account.by_connection_string(string), [queue], seconds)


def test_an_own_queue_that_is_missing_is_created_with_its_first_message(
    repository: NewRepository, account: QueueServiceClient, name: str
) -> None:
    assert repository(name).batch_send_messages(name, batch(20)).success
    assert left(account, name) == 20


def test_a_foreign_queue_is_not_created(repository: NewRepository, account: QueueServiceClient, name: str) -> None:
    result = repository("sb-own").batch_send_messages(name, batch(1))
    assert isinstance(result.error, QueueNotFoundError)
    assert name not in {each.name for each in account.list_queues()}


def test_a_ping_creates_the_missing_queues(repository: NewRepository, account: QueueServiceClient, name: str) -> None:
    assert repository(name).ping() == []
    assert left(account, name) == 0


def test_a_ping_names_the_missing_queues_of_others_and_does_not_create_them(
    azurite: Azurite, account: QueueServiceClient, name: str
) -> None:
    there = f"{name}-there"
    account.create_queue(there)
    client = storage_account.by_connection_string(azurite.connection_string)
    with closing(
        StorageQueueRepository(
            client, [name], ping_seconds=LONG_SECONDS, foreign_queues=[there, f"{name}-gone", "No.Name"]
        )
    ) as queue:
        assert queue.ping() == [f"{name}-gone"]
    assert {each.name for each in account.list_queues(name_starts_with=name)} == {name, there}


def test_a_message_never_expires(repository: NewRepository, account: QueueServiceClient, name: str) -> None:
    repository(name).batch_send_messages(name, batch(1))
    (seen,) = account.get_queue_client(name).peek_messages()
    assert seen.expires_on is not None
    assert seen.expires_on.year == 9999


def test_a_message_is_stored_as_it_is(repository: NewRepository, account: QueueServiceClient, name: str) -> None:
    sent = TaskMessage("0" * 32 + "-s01-t0000000", "0" * 32 + "-s1-b0").outgoing()
    strange = message('{"text": "<&é\u2028"\\n>"}')
    repository(name).batch_send_messages(name, [sent, strange])
    stored = {str(each.content).encode() for each in account.get_queue_client(name).peek_messages(2)}
    assert stored == {sent.body, strange.body}


def test_a_message_for_later_than_a_week_is_delivered_after_a_week(
    repository: NewRepository, account: QueueServiceClient, name: str
) -> None:
    due_at = datetime.now(UTC) + timedelta(days=30)
    assert repository(name).batch_send_messages(name, [message("later", due_at)]).success
    assert account.get_queue_client(name).peek_messages() == []
    assert left(account, name) == 1


def test_the_largest_message_is_taken_and_a_larger_one_keeps_its_batch_from_being_sent(
    repository: NewRepository, account: QueueServiceClient, name: str
) -> None:
    queue = repository(name)
    assert queue.batch_send_messages(name, [message("x" * MAX_MESSAGE_BYTES)]).success
    refused = queue.batch_send_messages(name, [message("small"), message("x" * (MAX_MESSAGE_BYTES + 1))])
    assert isinstance(refused.error, MessageTooLargeError)
    assert "65,537 bytes" in str(refused.error)
    assert left(account, name) == 1


def test_an_account_that_cannot_be_reached_is_unavailable(name: str, caplog: pytest.LogCaptureFixture) -> None:
    queue = through(f"http://127.0.0.1:{lasting_port()}/{ACCOUNT}", name)
    with caplog.at_level(logging.WARNING):
        result = queue.batch_send_messages(name, batch(3))
    queue.close()
    assert type(result.error) is QueueUnavailableError
    assert (result.success, result.sent) == (False, 0)
    assert KEY not in caplog.text + str(result.error)


def test_a_batch_of_which_one_message_is_refused_has_failed_though_others_were_taken(
    azurite: Azurite, account: QueueServiceClient, name: str
) -> None:
    account.create_queue(name)
    with proxy(azurite, taken=30, then="refusal") as (url, posted):
        queue = through(url, name)
        result = queue.batch_send_messages(name, batch(100))
        queue.close()
    assert (result.success, result.sent) == (False, 0)
    assert isinstance(result.error, QueueUnavailableError)
    wait_until(lambda: left(account, name) == 30)  # calls that were under way may end later
    assert len(posted) < 100  # the rest was not tried


def test_an_account_that_does_not_answer_is_given_up_at_the_deadline(azurite: Azurite, name: str) -> None:
    with proxy(azurite, taken=0, then="silence") as (url, _):
        queue = through(url, name, seconds=0.5)
        result = queue.batch_send_messages(name, batch(30))
        queue.close()
    assert isinstance(result.error, QueueTimeoutError)
    assert "within 0.5 s" in str(result.error)


def test_no_request_follows_an_answer_to_another_host(azurite: Azurite, name: str) -> None:
    """Its token would go there."""
    with (
        proxy(azurite, taken=0, then="refusal") as (other, asked),
        proxy(azurite, taken=0, then=other.removesuffix(f"/{ACCOUNT}")) as (url, _),
    ):
        queue = through(url, name)
        result = queue.batch_send_messages(name, batch(1))
        queue.close()
    assert isinstance(result.error, QueueUnavailableError)
    assert asked == []


def test_a_send_fails_whose_repository_is_closed_meanwhile(
    azurite: Azurite, account: QueueServiceClient, name: str
) -> None:
    account.create_queue(name)
    gate = threading.Event()
    with proxy(azurite, taken=1_000, then="refusal", gate=gate) as (url, posted):
        queue = through(url, name)
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(queue.batch_send_messages, name, batch(100))
            wait_until(lambda: len(posted) > 0)
            queue.close()
            gate.set()
            result = sending.result()
    assert isinstance(result.error, QueueUnavailableError)


@pytest.mark.parametrize("error", [ServiceRequestTimeoutError, ServiceResponseTimeoutError])
def test_an_account_that_does_not_take_a_connection_in_time_has_not_answered(error: type[AzureError]) -> None:
    with pytest.raises(QueueTimeoutError), storage_account.translating("sb-tasks"):
        raise error("timed out")


def test_a_closed_repository_is_unavailable(repository: NewRepository, name: str) -> None:
    queue = repository(name)
    queue.close()
    assert isinstance(queue.batch_send_messages(name, batch(1)).error, QueueUnavailableError)
