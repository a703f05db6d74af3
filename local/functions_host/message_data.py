"""Converts a received message to the trigger metadata of Azure's Service Bus extension (5.x).

The names are those of the extension's binding data. As in Azure, the reason of a dead letter is therefore in the
application properties, and ``locked_until`` and ``time_to_live`` are missing; and the body of a single message may hide
its metadata.
"""

import base64
import datetime as dt
import json
import uuid
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from local.functions_host.protocol import MessageData


def to_message_data(message: ServiceBusReceivedMessage) -> MessageData:
    """Copy a received message into a form that can be sent to a worker process."""
    properties = {_text(name): _json_value(value) for name, value in (message.application_properties or {}).items()}
    metadata = {
        # The AMQP header counts failed deliveries; .NET, and therefore Azure Functions, counts this delivery too.
        "DeliveryCount": (message.delivery_count or 0) + 1,
        "DeadLetterSource": message.dead_letter_source,
        "LockToken": str(message.lock_token),
        "ExpiresAtUtc": _json_value(message.expires_at_utc),
        "EnqueuedTimeUtc": _json_value(message.enqueued_time_utc),
        "MessageId": message.message_id,
        "ContentType": message.content_type,
        "ReplyTo": message.reply_to,
        "SequenceNumber": message.sequence_number,
        "To": message.to,
        "Subject": message.subject,
        "Label": message.subject,
        "CorrelationId": message.correlation_id,
        "ApplicationProperties": properties,
        "UserProperties": properties,
        "SessionId": message.session_id,
        "ReplyToSessionId": message.reply_to_session_id,
        "PartitionKey": message.partition_key,
    }
    return MessageData(_body(message), metadata)


def with_body_fields(data: MessageData) -> MessageData:
    """Lay the fields of a JSON object in the body over the metadata, as Azure's host does for a single message.

    ``Utility.ApplyBindingData`` of the Functions host does this so that bindings can name the fields. Names are
    compared without case, values become text; arrays and nulls are left out. A message of a batch keeps its metadata.
    """
    try:
        fields = json.loads(data.body)
    except (ValueError, RecursionError):
        return data
    if not isinstance(fields, dict):
        return data
    names = {name.lower(): name for name in data.metadata}
    texts = {
        names.get(name.lower(), str(name)): value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
        if value is not None and not isinstance(value, list)
    }
    return MessageData(data.body, {**data.metadata, **texts})


def _body(message: ServiceBusReceivedMessage) -> bytes:
    if message.body_type is AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    return str(message).encode()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _json_value(value: Any) -> Any:
    """The value of an application property as JSON of the Functions host."""
    if isinstance(value, dt.datetime):
        # The converter tries this format before the one that ends in Z.
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()  # the client returns AMQP strings as bytes
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value
