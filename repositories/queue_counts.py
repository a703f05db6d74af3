"""Counts the messages of queues through the management interface of Service Bus: ATOM over HTTP, not AMQP."""

import logging
import re
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.servicebus.management import ServiceBusAdministrationClient
from typing_extensions import override

from core.errors import CountsUnavailableError
from repositories.ports import MessageCounts, QueueCounts

logger = logging.getLogger(__name__)

_OPTIONS: dict[str, Any] = {"connection_timeout": 2, "read_timeout": 2, "retry_total": 0, "permit_redirects": False}
"""A person waits for the answer, and asks again: a request is short, and is not repeated. A redirect is not followed:
the client would send its token to wherever that leads."""

_EMULATOR_PORT = 5300
"""Where Microsoft's emulator, from version 2.0, answers requests for its entities, without TLS."""

_MAY_NOT = "the app's identity may not read it: that takes Manage, as in the role Azure Service Bus Data Owner"
_NO_QUEUE = "the namespace has no such queue"
_UNREACHABLE = "the management interface of Service Bus cannot be reached"
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

NewClient = Callable[[], ServiceBusAdministrationClient]


class ServiceBusQueueCounts(QueueCounts):
    """Asks Service Bus; each queue has a client of its own, which is made when it is asked first.

    Args:
        new_client: makes a client.
    """

    def __init__(self, new_client: NewClient) -> None:
        self._new_client = new_client
        self._lock = threading.Lock()
        self._clients: dict[str, ServiceBusAdministrationClient] = {}

    @override
    def counts(self, queue: str) -> MessageCounts:
        try:
            found = self._client(queue).get_queue_runtime_properties(queue)
            return MessageCounts(
                int(found.active_message_count or 0),
                int(found.scheduled_message_count or 0),
                int(found.dead_letter_message_count or 0),
            )
        except (AzureError, OSError, ValueError, AttributeError) as exc:  # the last two: an answer that is no queue's
            # At DEBUG: the error of a broken connection names hosts, and people may ask every few seconds.
            logger.debug("the messages of %s cannot be counted", queue, exc_info=True)
            raise CountsUnavailableError(_reason(exc)) from exc

    @override
    def close(self) -> None:
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, queue: str) -> ServiceBusAdministrationClient:
        with self._lock:
            if queue not in self._clients:
                self._clients[queue] = self._new_client()
            return self._clients[queue]


class _PlainTransport(RequestsTransport):  # type: ignore[misc]  # azure.core loads it lazily, without a type
    """Sends without TLS, as emulators want it; the SDK knows https only."""

    @override
    def send(self, request: Any, **kwargs: Any) -> Any:
        request.url = re.sub("^https:", "http:", request.url)
        return super().send(request, **kwargs)


def by_connection_string(connection_string: str, management_url: str | None = None) -> ServiceBusQueueCounts:
    """Asks a namespace with a connection string, or an emulator.

    Args:
        connection_string: of the namespace.
        management_url: where an emulator answers, such as `http://127.0.0.1:5300`; None for the port of Microsoft's on
            the host of the connection string.
    """

    def new_client() -> ServiceBusAdministrationClient:
        address = _emulator_address(connection_string, management_url)
        if address is None:
            return ServiceBusAdministrationClient.from_connection_string(connection_string, **_OPTIONS)
        plain = re.sub(r"(?i)(^|;)\s*Endpoint=[^;]*", rf"\1Endpoint=sb://{address}", connection_string)
        return ServiceBusAdministrationClient.from_connection_string(plain, transport=_PlainTransport(), **_OPTIONS)

    return ServiceBusQueueCounts(new_client)


def by_identity(namespace: str, credential: TokenCredential) -> ServiceBusQueueCounts:
    """Asks a namespace, given by its fully qualified name, with an identity."""
    return ServiceBusQueueCounts(lambda: ServiceBusAdministrationClient(namespace, credential, **_OPTIONS))


def _emulator_address(connection_string: str, management_url: str | None) -> str | None:
    """Returns the host and port of an emulator; None if the namespace is in Azure."""
    if not re.search(r"(?i)(^|;)\s*UseDevelopmentEmulator=true\s*(;|$)", connection_string):
        return None
    if management_url is not None:
        return urlsplit(management_url).netloc
    endpoint = re.search(r"(?i)(?:^|;)\s*Endpoint=([^;]*)", connection_string)
    host = urlsplit(endpoint[1]).hostname if endpoint else None
    return f"{host or 'localhost'}:{_EMULATOR_PORT}"


def _reason(exc: Exception) -> str:
    """Returns what everyone may read: the texts of errors may contain hosts and tokens."""
    status = exc.status_code if isinstance(exc, HttpResponseError) else None
    if isinstance(exc, ClientAuthenticationError) or status in _REFUSED:
        return _MAY_NOT
    if isinstance(exc, ResourceNotFoundError):
        return _NO_QUEUE
    if isinstance(exc, HttpResponseError) and status not in {None, HTTPStatus.OK}:
        return f"the management interface of Service Bus answered with status {status}"
    if isinstance(exc, (AzureError, OSError)) and status is None:  # OSError: the token of a pod is a file
        return _UNREACHABLE
    return "the management interface of Service Bus gave an answer that cannot be read"
