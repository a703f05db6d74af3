"""An account that the app reaches with an identity. Azurite takes tokens over https, and checks no signature."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

import connections
from core.errors import CountsUnavailableError, QueueUnavailableError
from core.lanes import TASKS_QUEUE, Transport
from core.messages import OutgoingMessage
from local.azurite import Azurite
from repositories.storage_poison_queues import StoragePoisonQueues
from repositories.storage_queues import StorageQueueRepository
from settings import Settings
from tests.conftest import require_azurite
from tests.support.waiting import LONG_SECONDS
from tests.unit.controllers.ingest_csv.tls_server import write_certificate


class Tokens:
    """A credential whose tokens are for an audience."""

    def __init__(self, audience: str) -> None:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "nbf": now - 60,
            "iat": now - 60,
            "exp": now + 3600,
        }
        parts = [_encoded({"alg": "RS256", "typ": "JWT"}), _encoded(claims), _encoded({})]
        self._token = AccessToken(".".join(parts), now + 3600)
        self.scopes: set[str] = set()

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes |= set(scopes)
        return self._token


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    require_azurite()
    with Azurite.start(tmp_path_factory.mktemp("azurite") / "log", certificate) as running:
        yield running


def settings_of(azurite: Azurite) -> Settings:
    return Settings.from_environment(
        {
            "DATABASE_URL": "postgresql://nowhere",
            "StorageConnection__queueServiceUri": azurite.queue_url,
            "StorageConnection__clientId": "client",
        }
    )


def patient_queue(settings: Settings) -> StorageQueueRepository:
    """The queue of an app, which gives up on no call to a slow account."""
    queue = connections.message_queue(settings)
    assert isinstance(queue, StorageQueueRepository)
    queue._send_seconds = queue._ping_seconds = LONG_SECONDS
    return queue


@pytest.fixture(autouse=True)
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))


def test_messages_are_sent_and_counted_with_a_token_for_storage(
    secure: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens("https://storage.azure.com")
    asked: list[str | None] = []

    def credential(settings: Settings) -> Tokens:
        asked.append(settings.service_bus_client_id)
        return tokens

    monkeypatch.setattr(connections, "credential", credential)
    settings = settings_of(secure)
    with closing(patient_queue(settings)) as queue:
        assert queue.ping() == []
        result = queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")])
        assert result.success, result.error
    with closing(connections.queue_counts(settings)[Transport.STORAGE]) as counts:
        assert counts.counts(TASKS_QUEUE).active == 1
    poison = connections.poison_queues(settings)
    assert isinstance(poison, StoragePoisonQueues)
    poison._seconds = LONG_SECONDS
    with closing(poison):
        assert poison.take(TASKS_QUEUE) == []
    assert tokens.scopes == {"https://storage.azure.com/.default"}
    assert set(asked) == {"client"}


def test_a_token_for_another_service_is_refused(secure: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "credential", lambda _: Tokens("https://vault.azure.net"))
    with (
        closing(patient_queue(settings_of(secure))) as queue,
        pytest.raises(QueueUnavailableError, match="ClientAuthenticationError"),
    ):
        queue.ping()


def test_a_file_of_certificates_or_tokens_that_cannot_be_read_is_an_outage(
    secure: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a token, which an update of a pod may take away for a moment."""
    monkeypatch.setattr(connections, "credential", lambda _: Tokens("https://storage.azure.com"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/roots.pem")
    settings = settings_of(secure)
    with closing(patient_queue(settings)) as queue:
        result = queue.batch_send_messages(TASKS_QUEUE, [OutgoingMessage(b"{}", "id")])
    assert isinstance(result.error, QueueUnavailableError)
    with (
        closing(connections.queue_counts(settings)[Transport.STORAGE]) as counts,
        pytest.raises(CountsUnavailableError),
    ):
        counts.counts(TASKS_QUEUE)
