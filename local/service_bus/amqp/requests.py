"""Decodes requests to `$cbs` and `$management`, and encodes the responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any

from local.service_bus.amqp import encode
from local.service_bus.amqp.conditions import condition_of, status_of
from local.service_bus.amqp.decode import DECODING_ERRORS, read, skip
from local.service_bus.amqp.sections import APPLICATION_PROPERTIES, PROPERTIES, VALUE, items, walk
from local.service_bus.broker.errors import BrokerError, MalformedMessageError

_REPLY_TO = 4  # its index in the properties section
_OK = 200


@dataclass(frozen=True)
class Request:
    """One request; `message_id` stays encoded, because the response repeats it with the same AMQP type."""

    operation: str
    message_id: bytes
    reply_to: str | None
    body: dict[Any, Any]

    def field(self, name: str, kind: type | UnionType) -> Any:
        """A field of the body.

        Raises:
            MalformedMessageError: the field is missing or has another type.
        """
        value = self.body.get(name)
        if not isinstance(value, kind):
            raise MalformedMessageError(f"The request lacks a valid '{name}'.")
        return value

    def text(self, name: str) -> str | None:
        """A field of the body that may be missing.

        Raises:
            MalformedMessageError: the field is not a string.
        """
        value: str | None = self.field(name, str | None)
        return value

    def list_of(self, name: str, kind: type) -> list[Any]:
        """A field of the body that is a list or an array of one type.

        Raises:
            MalformedMessageError: the field is missing, is not a list, or contains another type.
        """
        values: list[Any] = self.field(name, list)
        if not all(isinstance(value, kind) for value in values):
            raise MalformedMessageError(f"The request lacks a valid '{name}'.")
        return values


@dataclass(frozen=True)
class Response:
    """The response of an operation; `body` contains encoded values by name."""

    status: int = _OK
    description: str = "OK"
    body: Sequence[tuple[str, bytes]] = ()
    condition: str | None = None

    @classmethod
    def refusal(cls, error: BrokerError) -> "Response":
        """The response for a broker error."""
        return cls(status_of(error), str(error), condition=condition_of(error))


def parse_request(data: bytes) -> Request:
    """Decodes a request.

    Raises:
        MalformedMessageError: the bytes are not an AMQP message, or not a request.
    """
    properties: dict[Any, Any] = {}
    body: Any = None
    message_id, reply_to = encode.NULL, None
    try:
        for descriptor, _, position in walk(data):
            if descriptor == PROPERTIES:
                message_id, reply_to = _addressing(data, position)
            elif descriptor == APPLICATION_PROPERTIES:
                properties, _ = read(data, position)
            elif descriptor == VALUE:
                body, _ = read(data, position)
    except DECODING_ERRORS as exc:
        raise MalformedMessageError("The request is not encoded as AMQP 1.0.") from exc
    operation = properties.get("operation") if isinstance(properties, dict) else None
    if not isinstance(operation, str):
        raise MalformedMessageError("The request does not name an operation.")
    return Request(operation, message_id, reply_to, body if isinstance(body, dict) else {})


def encode_response(request: Request, response: Response, names: tuple[str, str]) -> bytes:
    """Encodes a response.

    `names` are the application properties for status code and description, which `$cbs` and `$management` spell
    differently.
    """
    properties = [encode.NULL] * 5 + [request.message_id]
    application_properties = [
        (encode.string(names[0]), encode.int32(response.status)),
        (encode.string(names[1]), encode.string(response.description)),
    ]
    if response.condition:
        application_properties.append((encode.string("errorCondition"), encode.symbol(response.condition)))
    body = encode.map_of([(encode.string(name), value) for name, value in response.body])
    return (
        encode.described(PROPERTIES, encode.list_of(properties))
        + encode.described(APPLICATION_PROPERTIES, encode.map_of(application_properties))
        + encode.described(VALUE, body)
    )


def _addressing(data: bytes, position: int) -> tuple[bytes, str | None]:
    count, start = items(data, position)
    fields = []
    for _ in range(min(count, _REPLY_TO + 1)):
        end = skip(data, start)
        fields.append(data[start:end])
        start = end
    reply_to = read(fields[_REPLY_TO])[0] if len(fields) > _REPLY_TO else None
    return fields[0] if fields else encode.NULL, reply_to if isinstance(reply_to, str) else None
