"""Creates clients of storage queues from the connection setting of a binding."""

import os
from collections.abc import Mapping

from azure.storage.queue import LinearRetry, QueueServiceClient

from local.functions_host.connections import Identity, connection_string
from local.functions_host.errors import AppLoadError

_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


class StorageConnection:
    """The ``connection`` of a binding of storage queues.

    Settings are tried in Azure's order: AzureWebJobsNAME, then NAME. Each is a connection string, with
    ``__queueServiceUri`` the URL of an account's queues, or with ``__accountName`` an account that an identity connects
    to. Further suffixes choose the identity, as those of a connection to Service Bus.

    Raises:
        AppLoadError: no such setting exists, or the connection string is malformed.
    """

    def __init__(self, name: str, environment: Mapping[str, str] = os.environ) -> None:
        for prefixed in (f"AzureWebJobs{name}", name):
            self._string = connection_string(prefixed, environment)
            self._identity = Identity(prefixed, environment)
            account = self._identity.get("accountName")
            self._url = self._identity.get("queueServiceUri") or (
                account and f"https://{account}.queue.core.windows.net"
            )
            if self._string:
                self._check(prefixed)
            if self._string or self._url:
                return
        raise AppLoadError(f"the connection {name} has no setting: {name} or {name}__queueServiceUri")

    def client(self) -> QueueServiceClient:
        """Creates a client, which threads may share. It does not retry; the caller does, without a limit."""
        retry = LinearRetry(retry_total=0)
        if self._string:
            string = _AZURITE if "usedevelopmentstorage=true" in self._string.lower() else self._string
            return QueueServiceClient.from_connection_string(string, retry_policy=retry, read_timeout=30)
        assert self._url
        return QueueServiceClient(self._url, self._identity.credential(), retry_policy=retry, read_timeout=30)

    def _check(self, setting: str) -> None:
        try:
            self.client().close()
        except ValueError:
            # Without a cause: a part of the connection string is a key.
            raise AppLoadError(f"{setting} is not a connection string of a storage account") from None
