"""Messages as the host hands them to a trigger."""

import inspect
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import azure.functions as func

from core.messages import OutgoingMessage
from local.functions_host.context import InvocationContext


class Delivery(func.ServiceBusMessage):
    """A message as the host hands it over."""

    def __init__(
        self,
        body: bytes,
        message_id: str = "m",
        delivery_count: int | None = 1,
        application_properties: Mapping[str, str] | None = None,
    ) -> None:
        self._body = body
        self._application_properties = dict(application_properties or {})
        self._message_id = message_id
        self._delivery_count = delivery_count

    def get_body(self) -> bytes:
        return self._body

    @property
    def message_id(self) -> str:
        return self._message_id

    @property
    def application_properties(self) -> dict[str, str]:
        return self._application_properties

    @property
    def delivery_count(self) -> int | None:
        return self._delivery_count


def deliveries(messages: list[OutgoingMessage]) -> list[Delivery]:
    return [Delivery(message.body, message.message_id) for message in messages]


def called_as_by_the_host(function: Callable[..., None]) -> Callable[[Any], None]:
    """A trigger's function of its messages alone: the host fills its other argument, the context."""
    if "context" not in inspect.signature(function).parameters:
        return function
    return lambda messages: function(messages, context=InvocationContext(str(uuid.uuid4()), function.__name__, ""))
