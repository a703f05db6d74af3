"""The same blobs in a fake and in Azurite."""

import base64
import json
import time
import uuid
from typing import Any, Protocol

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from local.azurite import Azurite
from repositories import blob_storage
from repositories.ports import BlobStore
from tests.fakes.blobs import FakeBlobStore


class BlobHarness(Protocol):
    """One implementation under test, with one container."""

    store: BlobStore
    container: str

    def put(self, name: str, data: bytes, content_encoding: str | None = None) -> None:
        """Writes a blob in one piece, as another program does."""

    def content(self, name: str) -> tuple[bytes, str] | None:
        """The data and the content type of a blob; None if there is none."""


class FakeBlobHarness:
    def __init__(self) -> None:
        self.fake = FakeBlobStore("things")
        self.store: BlobStore = self.fake
        self.container = "things"

    def put(self, name: str, data: bytes, content_encoding: str | None = None) -> None:
        self.fake.put(self.container, name, data, content_encoding)

    def content(self, name: str) -> tuple[bytes, str] | None:
        blob = self.fake.containers[self.container].get(name)
        return None if blob is None else (blob.data, blob.content_type)


class AzuriteHarness:
    """A container of its own, read and written through the store, and looked at with the key of the account."""

    def __init__(self, azurite: Azurite, store: blob_storage.AzureBlobStore) -> None:
        self.store: BlobStore = store
        self.container = f"things-{uuid.uuid4().hex}"
        self.client = BlobServiceClient.from_connection_string(azurite.connection_string)
        self.client.create_container(self.container)

    def put(self, name: str, data: bytes, content_encoding: str | None = None) -> None:
        settings = ContentSettings(content_encoding=content_encoding)
        self.client.get_blob_client(self.container, name).upload_blob(data, overwrite=True, content_settings=settings)

    def content(self, name: str) -> tuple[bytes, str] | None:
        try:
            found = self.client.get_blob_client(self.container, name).download_blob()
        except ResourceNotFoundError:
            return None
        return found.readall(), str(found.properties.content_settings.content_type)

    def close(self) -> None:
        self.client.close()
        self.store.close()


class AnyonesCredential(TokenCredential):
    """A token that Azurite takes: it looks at the claims and not at the signature."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked.append(scopes)
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
            "oid": "app",
        }
        parts = ({"typ": "JWT", "alg": "RS256"}, claims)
        encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in parts]
        return AccessToken(".".join([*encoded, "c2ln"]), now + 3600)
