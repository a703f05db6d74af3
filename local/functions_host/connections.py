"""Creates Service Bus clients from the connection setting of a binding."""

import os
from collections.abc import Mapping

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.servicebus import ServiceBusClient

from local.functions_host.errors import AppLoadError

_IDENTITY_SUFFIX = "__fullyQualifiedNamespace"


class Connection:
    """The ``connection`` of a binding.

    Settings are tried in Azure's order: AzureWebJobsNAME, then NAME. Each is a connection string or, with the suffix
    ``__fullyQualifiedNamespace``, the host name of a namespace that an identity connects to. ``__credential`` and
    ``__clientId`` choose the identity.

    Raises:
        AppLoadError: no such setting exists, or the connection string is malformed.
    """

    def __init__(self, name: str, environment: Mapping[str, str] = os.environ) -> None:
        for prefixed in (f"AzureWebJobs{name}", name):
            self._string = environment.get(prefixed)
            self._namespace = environment.get(prefixed + _IDENTITY_SUFFIX)
            self._client_id = environment.get(prefixed + "__clientId") or None
            self._is_managed = environment.get(prefixed + "__credential", "").lower() == "managedidentity"
            if self._string:
                self._check(prefixed)
            if self._string or self._namespace:
                return
        raise AppLoadError(f"the connection {name} has no setting: {name} or {name}{_IDENTITY_SUFFIX}")

    def client(self) -> ServiceBusClient:
        """Creates a client for one thread. The client does not retry; the caller does, without a limit."""
        if self._string:
            return ServiceBusClient.from_connection_string(self._string, retry_total=0)
        assert self._namespace
        return ServiceBusClient(self._namespace, self._credential(), retry_total=0)

    def _credential(self) -> TokenCredential:
        if self._is_managed:
            return ManagedIdentityCredential(client_id=self._client_id)
        return DefaultAzureCredential(managed_identity_client_id=self._client_id)

    def _check(self, setting: str) -> None:
        try:
            self.client().close()
        except ValueError:
            # Without a cause: a part of the connection string is a key.
            raise AppLoadError(f"{setting} is not a connection string of Service Bus") from None
