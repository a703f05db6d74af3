"""The password of a connection as an identity of Microsoft Entra."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from core.errors import DatabaseUnavailableError
from repositories.entra import TokenPassword
from tests.support.waiting import wait_until


class Credential:
    """Gives numbered tokens, as soon as a test lets it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, ...]] = []
        self.most_at_once = 0
        self.lets = Event()
        self.lets.set()
        self._now = 0
        self._lock = Lock()

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        with self._lock:
            self.asked.append(scopes)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        assert self.lets.wait(120)
        with self._lock:
            self._now -= 1
        if self.failure is not None:
            raise self.failure
        return AccessToken(f"token {len(self.asked)}", 0)


def test_each_connection_asks_the_credential_which_keeps_and_renews_its_token() -> None:
    credential = Credential()
    password = TokenPassword(credential)
    assert [password(), password()] == ["token 1", "token 2"]
    assert set(credential.asked) == {("https://ossrdbms-aad.database.windows.net/.default",)}


@pytest.mark.parametrize(
    "failure",
    [
        CredentialUnavailableError("pssst"),
        ClientAuthenticationError("AADSTS7000215: invalid client secret pssst"),
        ServiceRequestError("pssst cannot be resolved"),
        FileNotFoundError("/var/run/secrets/pssst"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_identity_without_a_token_is_an_outage_whose_text_repeats_nothing_of_the_answer(failure: Exception) -> None:
    with pytest.raises(DatabaseUnavailableError, match=f"gets no token .{type(failure).__name__}") as caught:
        TokenPassword(Credential(failure))()
    assert caught.value.waited_out
    assert "pssst" not in "".join(traceback.format_exception(caught.value))


def test_a_failed_request_lets_the_next_one_ask() -> None:
    credential = Credential(CredentialUnavailableError("not yet"))
    password = TokenPassword(credential)
    with pytest.raises(DatabaseUnavailableError):
        password()
    credential.failure = None
    assert password() == "token 2"


def test_threads_ask_one_after_another() -> None:
    credential = Credential()
    credential.lets.clear()
    password = TokenPassword(credential, wait_seconds=120)
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(password) for _ in range(8)]
        wait_until(lambda: bool(credential.asked))
        credential.lets.set()
        assert len({each.result(120) for each in asking}) == 8
    assert credential.most_at_once == 1


def test_a_thread_does_not_wait_without_limit_for_the_request_of_another() -> None:
    credential = Credential()
    credential.lets.clear()
    password = TokenPassword(credential, wait_seconds=0.01)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(password)
        wait_until(lambda: bool(credential.asked))
        with pytest.raises(DatabaseUnavailableError, match="has not answered within"):
            password()
        credential.lets.set()
        assert first.result(120) == "token 1"
