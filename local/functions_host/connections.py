"""Creates Service Bus clients from the connection setting of a binding."""

import os
from collections.abc import Mapping

from azure.identity import DefaultAzureCredential
from azure.servicebus import ServiceBusClient

from local.functions_host.errors import AppLoadError

_IDENTITY_SUFFIX = "__fullyQualifiedNamespace"


class Connection:
    """The ``connection`` of a binding.

    Settings are tried in Azure's order: AzureWebJobsNAME, then NAME. Each is a connection string or, with the suffix
    ``__fullyQualifiedNamespace``, the host name of a namespace that an identity connects to.

    Raises:
        AppLoadError: no such setting exists.
    """

    def __init__(self, name: str, environment: Mapping[str, str] = os.environ) -> None:
        for prefixed in (f"AzureWebJobs{name}", name):
            self._string = environment.get(prefixed)
            self._namespace = environment.get(prefixed + _IDENTITY_SUFFIX)
            if self._string or self._namespace:
                return
        raise AppLoadError(f"the connection {name} has no setting: {name} or {name}{_IDENTITY_SUFFIX}")

    def client(self) -> ServiceBusClient:
        """Creates a client for one thread. The client does not retry; the caller does, without a limit."""
        if self._string:
            return ServiceBusClient.from_connection_string(self._string, retry_total=0)
        assert self._namespace
        return ServiceBusClient(self._namespace, DefaultAzureCredential(), retry_total=0)
