from dataclasses import replace

import pytest

from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from core.errors import SourceError
from tests.fakes.blobs import FakeBlobStore

OURS, THEIRS, LOCAL = FakeBlobStore(), FakeBlobStore(), FakeBlobStore()
ACCOUNTS = BlobAccounts(
    {
        "https://ours.blob.core.windows.net": OURS,
        "https://theirs.blob.core.windows.net": THEIRS,
        "https://127.0.0.1:10000/account1": LOCAL,
    },
    "https://ours.blob.core.windows.net",
)


@pytest.mark.parametrize(
    ("url", "store", "container", "path"),
    [
        ("blob://things/a.csv", OURS, "things", "a.csv"),
        ("blob://things/a/b%20c%3Fd.csv", OURS, "things", "a/b c?d.csv"),
        ("blob://things", OURS, "things", ""),
        ("https://ours.blob.core.windows.net/things/a.csv", OURS, "things", "a.csv"),
        ("https://OURS.blob.core.windows.net:443/things/a.csv", OURS, "things", "a.csv"),
        ("https://theirs.blob.core.windows.net/things/a/b.csv", THEIRS, "things", "a/b.csv"),
        ("https://127.0.0.1:10000/account1/things/a.csv", LOCAL, "things", "a.csv"),
    ],
)
def test_a_url_of_an_account_of_the_app_means_its_blob(url: str, store: object, container: str, path: str) -> None:
    found = ACCOUNTS.find(url)
    assert found is not None
    assert found.store is store
    assert (found.container, found.path) == (container, path)


@pytest.mark.parametrize(
    "url",
    [
        "https://another.blob.core.windows.net/things/a.csv",
        "https://ours.blob.core.windows.net.evil.example/things/a.csv",
        "https://evil.example/ours.blob.core.windows.net/things/a.csv",
        "https://ours.blob.core.windows.net@evil.example/things/a.csv",
        "https://ours.blob.core.windows.net:8443/things/a.csv",
        "http://ours.blob.core.windows.net/things/a.csv",
        "https://127.0.0.1:10000/account12/things/a.csv",
        "https://127.0.0.1:10000/things/a.csv",
        "https://evil.example/things/a.csv?x=https://ours.blob.core.windows.net/things/a.csv",
    ],
)
def test_any_other_url_gets_no_store_and_so_no_token(url: str, services: Services) -> None:
    assert ACCOUNTS.find(url) is None
    with (
        pytest.raises(SourceError, match="not among the allowed source hosts"),
        replace(services, blobs=ACCOUNTS).open_source(url),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://ours.blob.core.windows.net/things/a.csv?sig=pssst", "has no query"),
        ("blob://things/a.csv?sig=pssst", "has no query"),
        ("blob://Things/a.csv", "'Things' is no name of a container"),
        ("blob:///a.csv", "'' is no name of a container"),
        ("blob://things/" + "a" * 1_025, "at most 1,024 characters"),
        ("blob://[things/a.csv", "cannot be read"),
        ("blob://things/../secrets/a.csv", "no '..'"),
        ("blob://things/a/%2e%2e/%2E%2e/secrets/a.csv", "no '..'"),
        ("blob://things/..%5Csecrets/a.csv", "no '..'"),
        ("https://ours.blob.core.windows.net/things/%2e%2e/secrets/a.csv", "no '..'"),
        ("blob://things/./a.csv", "no '..'"),
    ],
)
def test_a_url_that_names_no_blob_is_refused(url: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        ACCOUNTS.find(url)
    assert "pssst" not in str(caught.value)


def test_without_an_account_no_blob_is_read() -> None:
    with pytest.raises(SourceError, match="set BLOB_ACCOUNT_URL or BLOB_CONNECTION_STRING"):
        BlobAccounts().find("blob://things/a.csv")
    assert BlobAccounts().find("https://ours.blob.core.windows.net/things/a.csv") is None


def test_the_url_of_a_blob_leads_back_to_it() -> None:
    for root in ("blob://things/", "https://theirs.blob.core.windows.net/things/"):
        place = ACCOUNTS.find(root)
        assert place is not None
        again = ACCOUNTS.find(place.url_of("a b/c?d#e%.csv"))
        assert again is not None
        assert (again.store, again.path) == (place.store, "a b/c?d#e%.csv")
