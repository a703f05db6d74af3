"""The store against services that are busy, silent, slow, forbidding, or lead elsewhere."""

import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest
from azure.core.credentials import AccessToken
from azure.identity import CredentialUnavailableError
from typing_extensions import override

from core.errors import BlobChangedError, BlobError, BlobUnavailableError
from local.azurite import ACCOUNT, Azurite
from repositories import blob_storage
from repositories.blob_storage import AzureBlobStore
from repositories.broker_calls import BrokerCalls, Connection
from tests.contract.blobs.harness import AnyonesCredential
from tests.contract.blobs.servers import HEAD, connection_string, slow_server
from tests.support.waiting import LONG_SECONDS
from tests.unit.controllers.ingest_csv.tls_server import Answer, Route, TlsServer, running

T = TypeVar("T")

ROOT = Path(__file__).parents[3]
PATH = f"/{ACCOUNT}/things/a.bin"
LISTING = f"/{ACCOUNT}/things?restype=container&comp=list&prefix=&maxresults=2000"
FOUND = Answer(206, {"Content-Range": "bytes 0-3/4", "ETag": '"0x1"'}, b"data")


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsServer]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with running(certificate) as server:
        yield server


def store_of(text: str, seconds: float = LONG_SECONDS, pauses: list[float] | None = None) -> "closing[AzureBlobStore]":
    """The store of a connection string, which notes its pauses and does not make them."""
    store = blob_storage.by_connection_string(text)
    store._seconds, store._pause = seconds, (pauses if pauses is not None else []).append
    return closing(store)


def one_after_the_other(*answers: Answer) -> Route:
    remaining = iter(answers)
    return lambda _: next(remaining)


def refused(status: int, code: str = "", **headers: str) -> Answer:
    return Answer(status, {"x-ms-error-code": code, **headers} if code else headers)


def test_a_busy_service_is_asked_again_when_it_says(server: TlsServer) -> None:
    server.routes[PATH] = one_after_the_other(
        refused(503, "ServerBusy"), refused(503, "ServerBusy", **{"Retry-After": "3"}), refused(500), FOUND
    )
    pauses: list[float] = []
    with store_of(connection_string(f"https://{server.host}"), pauses=pauses) as store:
        assert store.read("things", "a.bin", 0, 4).data == b"data"
    assert pauses == [0.25, 3.0, 1.0]


def test_a_service_that_stays_busy_is_given_up_at_the_deadline(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that the pauses alone move; each request has the rest of a minute, and more than it needs."""
    server.routes[PATH] = lambda _: refused(503, "ServerBusy")
    pauses: list[float] = []
    monkeypatch.setattr(blob_storage, "time", SimpleNamespace(monotonic=lambda: sum(pauses)))
    busy = pytest.raises(BlobUnavailableError, match=r"things/a\.bin: Azure Blob Storage answers 503")
    with store_of(connection_string(f"https://{server.host}"), 60, pauses) as store, busy:
        store.read("things", "a.bin", 0, 4)
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]  # the next one, of 32 s, would end too late
    assert len(server.requests) == 8


@pytest.mark.parametrize("head", [b"", HEAD], ids=["silent", "slow"])
def test_a_server_that_does_not_end_its_answer_is_given_up(head: bytes) -> None:
    with slow_server(head) as text, store_of(text, seconds=0.5) as store:
        began = time.monotonic()
        with pytest.raises(BlobUnavailableError, match=r"did not answer within|cannot be reached now"):
            store.read("things", "a.bin", 0, 100_000)
        assert time.monotonic() - began < LONG_SECONDS  # the answer takes half an hour, or has no end


def test_a_server_that_is_not_there_is_unavailable() -> None:
    unavailable = pytest.raises(BlobUnavailableError, match="cannot be reached now: ServiceRequestError")
    with store_of(connection_string("http://127.0.0.1:9")) as store, unavailable:
        store.list_page("things", "")


def test_a_read_that_breaks_off_is_unavailable(server: TlsServer) -> None:
    server.routes[PATH] = lambda _: Answer(206, {"Content-Range": "bytes 0-99/100", "ETag": '"0x1"'}, b"data")
    unavailable = pytest.raises(BlobUnavailableError, match="broke off after")
    with store_of(connection_string(f"https://{server.host}")) as store, unavailable:
        store.read("things", "a.bin", 0, 100)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {"ETag": '"0x1"'}, b"data"),
        Answer(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
    ],
    ids=["no range", "the page of a gateway"],
)
def test_an_answer_that_is_none_of_the_service_is_unavailable(server: TlsServer, answer: Answer) -> None:
    server.routes[PATH] = lambda _: answer
    server.routes[LISTING] = lambda _: answer
    with store_of(connection_string(f"https://{server.host}")) as store:
        with pytest.raises(BlobUnavailableError, match="cannot be read"):
            store.read("things", "a.bin", 0, 4)
        with pytest.raises(BlobUnavailableError, match="cannot be read"):
            store.list_page("things", "")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refused(403, "AuthorizationPermissionMismatch"), BlobError, "may not use it.* 403 Authorization"),
        (refused(401, "InvalidAuthenticationInfo"), BlobError, "may not use it"),
        (refused(404, "BlobNotFound"), BlobError, "there is no such blob"),
        (refused(409, "BlobArchived"), BlobError, "cannot be used .*409 BlobArchived"),
        (refused(412, "ConditionNotMet"), BlobChangedError, "has changed"),
    ],
)
def test_what_the_service_refuses_is_not_asked_for_again(
    server: TlsServer, answer: Answer, error: type[Exception], message: str
) -> None:
    server.routes[PATH] = lambda _: answer
    with store_of(connection_string(f"https://{server.host}")) as store, pytest.raises(error, match=message):
        store.read("things", "a.bin", 0, 4)
    assert len(server.requests) == 1


def test_a_wrong_key_is_refused_and_not_told(azurite: Azurite) -> None:
    key = base64.b64encode(b"pssst" * 8).decode()
    text = connection_string(azurite.blob_url.removesuffix(f"/{ACCOUNT}"), key)
    with store_of(text) as store, pytest.raises(BlobError, match="may not use it") as caught:
        store.read("things", "a.bin", 0, 4)
    assert key not in str(caught.value)


def test_a_token_goes_to_the_account_and_not_where_that_leads(server: TlsServer, certificate: Path) -> None:
    with running(certificate) as other:
        other.routes[PATH] = lambda _: FOUND
        server.routes[PATH] = lambda _: Answer(307, {"Location": other.url(PATH)})
        store = blob_storage.by_identity(f"https://{server.host}/{ACCOUNT}", AnyonesCredential)
        store._seconds = LONG_SECONDS
        with closing(store), pytest.raises(BlobError, match="leads elsewhere, which is not followed"):
            store.read("things", "a.bin", 0, 4)
        assert [request["Authorization"][:7] for request in server.requests] == ["Bearer "]
        assert other.requests == []


@pytest.mark.parametrize(
    "failure",
    [CredentialUnavailableError("no managed identity endpoint"), FileNotFoundError("the token of a pod")],
    ids=lambda each: type(each).__name__,
)
def test_no_identity_is_an_outage(failure: Exception) -> None:
    class Without(AnyonesCredential):
        def get_token(self, *scopes: str, **_: object) -> AccessToken:
            raise failure

    store = blob_storage.by_identity("https://127.0.0.1:9", Without)
    store._seconds, store._pause = LONG_SECONDS, lambda _: None
    unavailable = pytest.raises(BlobUnavailableError, match=f"cannot be reached now: {type(failure).__name__}")
    with closing(store), unavailable:
        store.read("things", "a.bin", 0, 4)


def test_a_try_after_a_pause_that_took_too_long_has_a_time_that_the_client_takes(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class InThisThread(BrokerCalls):
        @override
        def run(self, action: Callable[[], T], connection: Connection, seconds: float) -> T:
            return action()

    assert blob_storage._LEAST_SECONDS > 0
    monkeypatch.setattr(blob_storage, "_LEAST_SECONDS", LONG_SECONDS)  # the server may be slow
    now = [0.0]
    monkeypatch.setattr(blob_storage, "time", SimpleNamespace(monotonic=lambda: now[-1]))
    server.routes[PATH] = one_after_the_other(refused(503, "ServerBusy"), FOUND)
    store = blob_storage.by_connection_string(connection_string(f"https://{server.host}"))
    store._seconds, store._calls, store._pause = 20.0, InThisThread(), lambda _: now.append(30.0)
    with closing(store):
        assert store.read("things", "a.bin", 0, 4).data == b"data"


def test_the_client_is_imported_when_the_first_blob_is_opened() -> None:
    script = """
import sys
import connections
import function_app
from settings import Settings
settings = Settings.from_environment({
    "DATABASE_URL": "postgresql://nowhere", "BLOB_ACCOUNT_URL": "https://a.blob.core.windows.net",
    "ServiceBusConnection": "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any",
})
connections.blob_accounts(settings).find("blob://things/a")
assert not [name for name in sys.modules if name.startswith("azure.storage")]
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_calls_fail_at_once_while_the_service_does_not_answer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is given up long before a limit of the client could end it."""
    run = BrokerCalls.run
    monkeypatch.setattr(BrokerCalls, "run", lambda calls, action, response, _: run(calls, action, response, 0.1))
    monkeypatch.setattr(blob_storage, "_LEAST_SECONDS", LONG_SECONDS)
    with slow_server(HEAD) as text, store_of(text, seconds=0.1) as store:
        for _ in range(9):
            with pytest.raises(BlobUnavailableError, match="Azure Blob Storage did not answer"):
                store.read("things", "a.bin", 0, 10)
    assert "Azure Blob Storage did not answer 8 calls in a row" in caplog.text
    assert "Service Bus" not in caplog.text
