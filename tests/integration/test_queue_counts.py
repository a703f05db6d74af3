"""What is told when Service Bus does not count the messages of a queue: a reason without hosts and secrets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from core.errors import CountsUnavailableError
from local.azurite import Azurite
from local.service_bus.process import EmulatorProcess
from repositories import queue_counts
from repositories.ports import MessageCounts
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.silence import Relay
from tests.support.waiting import wait_until

pytestmark = pytest.mark.service_bus_only("storage queues are counted by other calls, without a management client")

_SECRET = "a-secret-key"
_ENTRY = """\
<entry xmlns="http://www.w3.org/2005/Atom"><title type="text">sb-tasks</title><content type="application/xml">
<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
    xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<LockDuration>PT1M</LockDuration><MessageCount>12</MessageCount>
<CountDetails xmlns:d2p1="http://schemas.microsoft.com/netservices/2011/06/servicebus">
<d2p1:ActiveMessageCount>7</d2p1:ActiveMessageCount><d2p1:DeadLetterMessageCount>3</d2p1:DeadLetterMessageCount>
<d2p1:ScheduledMessageCount>2</d2p1:ScheduledMessageCount><d2p1:TransferMessageCount>0</d2p1:TransferMessageCount>
<d2p1:TransferDeadLetterMessageCount>0</d2p1:TransferDeadLetterMessageCount></CountDetails>
</QueueDescription></content></entry>"""


@contextmanager
def answering(status: int, text: str, location: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """A management interface with one answer; yields its port and the requests that it gets."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers['Authorization']}")
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.send_header("Content-Type", "application/atom+xml;type=entry;charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def ask(port: int) -> MessageCounts:
    connection = (
        f"Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=any;SharedAccessKey={_SECRET};UseDevelopmentEmulator=true;"
    )
    return queue_counts.by_connection_string(connection, f"http://127.0.0.1:{port}").counts("sb-tasks")


def reason(port: int) -> str:
    with pytest.raises(CountsUnavailableError) as caught:
        ask(port)
    text = str(caught.value)
    assert _SECRET not in text
    assert "127.0.0.1" not in text
    return text


def test_the_counts_of_a_queue_are_read_from_one_request() -> None:
    with answering(200, _ENTRY) as (port, asked):
        assert ask(port) == MessageCounts(active=7, scheduled=2, dead_lettered=3)
    (request,) = asked
    assert request.startswith("GET /sb-tasks?")
    assert _SECRET not in request


@pytest.mark.parametrize(
    ("status", "text", "told"),
    [
        (401, "", "may not read it"),
        (403, f"<Error><Detail>{_SECRET} of 127.0.0.1</Detail></Error>", "may not read it"),
        (404, "", "no such queue"),
        (200, '<feed xmlns="http://www.w3.org/2005/Atom"/>', "no such queue"),
        (500, "", "status 500"),
        (429, "", "status 429"),
        (200, "no XML", "cannot be read"),
        (200, '<entry xmlns="http://www.w3.org/2005/Atom"><content/></entry>', "cannot be read"),
    ],
)
def test_the_reason_is_told_after_one_request(status: int, text: str, told: str) -> None:
    with answering(status, text) as (port, asked):
        assert told in reason(port)
    assert len(asked) == 1


def test_a_token_goes_to_the_namespace_and_not_where_that_leads() -> None:
    with (
        answering(200, _ENTRY) as (other, asked_there),
        answering(302, "", f"http://127.0.0.1:{other}/sb-tasks") as (port, asked),
    ):
        assert "status 302" in reason(port)
    assert len(asked) == 1
    assert asked_there == []


def test_an_interface_that_nobody_listens_at_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    assert "cannot be reached" in reason(port)


class _NoIdentity:
    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        raise self._failure


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ClientAuthenticationError(f"{_SECRET} is refused"), "may not read it"),
        (FileNotFoundError(f"the token of a pod {_SECRET}"), "cannot be reached"),
    ],
)
def test_an_identity_that_gets_no_token_may_not_read(failure: Exception, told: str) -> None:
    counts = queue_counts.by_identity("nowhere.invalid", _NoIdentity(failure))
    with pytest.raises(CountsUnavailableError, match=told) as caught:
        counts.counts("sb-tasks")
    assert _SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("connection", "url", "address"),
    [
        ("Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b", None, None),
        ("Endpoint=sb://localhost:5672;SharedAccessKeyName=a;UseDevelopmentEmulator=true;", None, "localhost:5300"),
        ("UseDevelopmentEmulator=true;Endpoint=sb://10.0.0.1", None, "10.0.0.1:5300"),
        ("Endpoint=sb://localhost;UseDevelopmentEmulator=false", None, None),
        ("Endpoint=sb://localhost;UseDevelopmentEmulator=true", "http://localhost:7", "localhost:7"),
        ("Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=a", "http://localhost:7", None),
    ],
)
def test_only_an_emulator_is_asked_without_tls(connection: str, url: str | None, address: str | None) -> None:
    assert queue_counts._emulator_address(connection, url) == address


def test_a_closed_app_leaves_no_connection_to_what_counts_and_to_the_poison_queues(
    build_app: BuildApp, service_bus: EmulatorProcess, azurite: Azurite
) -> None:
    storage_port = urlsplit(azurite.queue_url).port
    with Relay(storage_port) as storage, Relay(urlsplit(service_bus.management_url).port) as management:
        app = build_app(
            [counting_job(returning(str))],
            SERVICE_BUS_MANAGEMENT_URL=f"http://127.0.0.1:{management.port}",
            StorageConnection=azurite.connection_string.replace(f":{storage_port}/", f":{storage.port}/"),
        )
        app.queues.all()
        assert app.poison_messages is not None
        app.poison_messages.handle(lambda action: action())
        assert storage.open_connections() > 0
        assert management.open_connections() > 0
        app.close()
        wait_until(lambda: storage.open_connections() + management.open_connections() == 0)
