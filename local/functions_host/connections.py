"""Creates Service Bus clients from the connection setting of a binding."""

import os
from collections.abc import Mapping

from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.servicebus import ServiceBusClient

from local.functions_host.errors import AppLoadError

_NAMESPACE = "fullyQualifiedNamespace"


class Connection:
    """The ``connection`` of a binding.

    Settings are tried in Azure's order: AzureWebJobsNAME, then NAME. Each is a connection string or, with the suffix
    ``__fullyQualifiedNamespace``, the host name of a namespace that an identity connects to. Further suffixes choose
    the identity as in Azure, in any case: ``__credential``, ``__clientId``, ``__managedIdentityResourceId``,
    ``__tenantId``, ``__clientSecret`` and ``__tokenFilePath``.

    Raises:
        AppLoadError: no such setting exists, the connection string is malformed, or the settings contradict each other.
    """

    def __init__(self, name: str, environment: Mapping[str, str] = os.environ) -> None:
        for prefixed in (f"AzureWebJobs{name}", name):
            self._string = connection_string(prefixed, environment)
            self._identity = Identity(prefixed, environment)
            self._namespace = self._identity.get(_NAMESPACE)
            if self._string:
                self._check(prefixed)
            if self._string or self._namespace:
                return
        raise AppLoadError(f"the connection {name} has no setting: {name} or {name}__{_NAMESPACE}")

    def client(self) -> ServiceBusClient:
        """Creates a client for one thread. The client does not retry; the caller does, without a limit."""
        if self._string:
            return ServiceBusClient.from_connection_string(self._string, retry_total=0)
        assert self._namespace
        return ServiceBusClient(self._namespace, self._identity.credential(), retry_total=0)

    def _check(self, setting: str) -> None:
        try:
            self.client().close()
        except ValueError:
            # Without a cause: a part of the connection string is a key.
            raise AppLoadError(f"{setting} is not a connection string of Service Bus") from None


def connection_string(name: str, environment: Mapping[str, str]) -> str | None:
    """Returns the setting of this name, which may be written in any case; None if it is not set."""
    alike = (value for each, value in environment.items() if each.lower() == name.lower() and value)
    return environment.get(name) or next(alike, None)


class Identity:
    """The settings of one connection beside its name, as Microsoft.Extensions.Azure reads them."""

    def __init__(self, prefix: str, environment: Mapping[str, str]) -> None:
        self._prefix = prefix
        start = f"{prefix}__".lower()
        named = {name: value for name, value in environment.items() if value and name.lower().startswith(start)}
        self._values = {name.lower(): value for name, value in named.items()}

    def get(self, name: str) -> str | None:
        """Returns a setting; None if it is not set, or empty."""
        return self._values.get(f"{self._prefix}__{name}".lower())

    def credential(self) -> TokenCredential:
        """Returns the identity that the settings choose."""
        client_id, tenant_id, secret = self.get("clientId"), self.get("tenantId"), self.get("clientSecret")
        kind = (self.get("credential") or "").lower()
        if kind == "managedidentity":
            return self._managed(client_id)
        if kind == "workloadidentity":
            return WorkloadIdentityCredential(
                tenant_id=tenant_id, client_id=client_id, token_file_path=self.get("tokenFilePath")
            )
        if client_id and tenant_id and secret:
            return ClientSecretCredential(tenant_id, client_id, secret)
        if client_id:
            return DefaultAzureCredential(managed_identity_client_id=client_id)
        return DefaultAzureCredential()  # which reads AZURE_CLIENT_ID, unless it is given a None

    def _managed(self, client_id: str | None) -> TokenCredential:
        resource_id = self.get("managedIdentityResourceId")
        if resource_id and client_id:
            raise AppLoadError(f"{self._prefix}: set clientId or managedIdentityResourceId, not both")
        if resource_id:
            return ManagedIdentityCredential(identity_config={"resource_id": resource_id})
        return ManagedIdentityCredential(client_id=client_id)
