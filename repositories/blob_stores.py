"""Opens the storage accounts whose blobs jobs may use, from settings that can be sent to another process."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from azure.core.credentials import TokenCredential

from core.connection_strings import blob_endpoint
from repositories import blob_storage
from repositories.ports import BlobStore


def open_stores(settings: Mapping[str, Any]) -> dict[str, BlobStore]:
    """Returns the stores of accounts by their URLs; nothing is opened before the first blob is.

    Args:
        settings: JSON. `account_urls` of those that the identity of the app reads, without a slash at the end; the
            fields of this `identity`; and the `connection_string` of another one, or null.
    """
    identified = partial(_credential, settings["identity"])
    stores: dict[str, BlobStore] = {url: blob_storage.by_identity(url, identified) for url in settings["account_urls"]}
    if (text := settings["connection_string"]) is not None:
        stores[blob_endpoint(text)] = blob_storage.by_connection_string(text)
    return stores


def _credential(identity: Mapping[str, Any]) -> TokenCredential:
    from repositories import identities  # noqa: PLC0415 - its imports cost a process that opens no blob nothing

    return identities.credential(identities.Identity(**identity))
