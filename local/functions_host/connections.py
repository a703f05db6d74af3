"""Service Bus clients from the connection settings of a binding."""

import os
from collections.abc import Mapping

from azure.identity import DefaultAzureCredential
from azure.servicebus import ServiceBusClient

from local.functions_host.errors import AppLoadError

_IDENTITY_SUFFIX = "__fullyQualifiedNamespace"


class Connection:
    """Where a ``connection`` leads, and with which right.

    The setting is looked up as Azure does: NAME, AzureWebJobsNAME, and each with ``__fullyQualifiedNamespace`` for an
    identity instead of a key.

    Raises:
        AppLoadError: none of them is set.
    """

    def __init__(self, name: str, environment: Mapping[str, str] = os.environ) -> None:
        names = (name, f"AzureWebJobs{name}")
        self._string = next((environment[known] for known in names if environment.get(known)), None)
        identities = (environment.get(known + _IDENTITY_SUFFIX) for known in names)
        self._namespace = next((namespace for namespace in identities if namespace), None)
        if self._string is None and self._namespace is None:
            raise AppLoadError(f"the connection {name} has no setting: {name} or {name}{_IDENTITY_SUFFIX}")

    def client(self) -> ServiceBusClient:
        """A new client; one thread may use it. It does not retry: the caller does, for as long as it takes."""
        if self._string is not None:
            return ServiceBusClient.from_connection_string(self._string, retry_total=0)
        assert self._namespace
        return ServiceBusClient(self._namespace, DefaultAzureCredential(), retry_total=0)
