"""Service Bus clients from the connection settings of a binding."""

import os
from collections.abc import Mapping

from azure.identity import DefaultAzureCredential
from azure.servicebus import ServiceBusClient

from local.functions_host.errors import AppLoadError

_IDENTITY_SUFFIX = "__fullyQualifiedNamespace"


class Connection:
    """Where a ``connection`` leads, and with which right.

    The setting is looked up as Azure does: AzureWebJobsNAME, then NAME, each as a connection string or, with
    ``__fullyQualifiedNamespace``, as the host name that an identity opens.

    Raises:
        AppLoadError: none of them is set.
    """

    def __init__(self, name: str, environment: Mapping[str, str] = os.environ) -> None:
        for prefixed in (f"AzureWebJobs{name}", name):
            self._string = environment.get(prefixed)
            self._namespace = environment.get(prefixed + _IDENTITY_SUFFIX)
            if self._string or self._namespace:
                return
        raise AppLoadError(f"the connection {name} has no setting: {name} or {name}{_IDENTITY_SUFFIX}")

    def client(self) -> ServiceBusClient:
        """A new client; one thread may use it. It does not retry: the caller does, for as long as it takes."""
        if self._string:
            return ServiceBusClient.from_connection_string(self._string, retry_total=0)
        assert self._namespace
        return ServiceBusClient(self._namespace, DefaultAzureCredential(), retry_total=0)
