"""A received message in the words of the Functions extension's trigger metadata.

The names are those that the Service Bus extension (5.x) puts into its binding data: so, as in Azure, a function finds
the reason of a dead letter in the application properties, and learns of no ``locked_until`` or ``time_to_live``.
"""

import base64
import datetime as dt
import uuid
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from local.functions_host.protocol import MessageData


def to_message_data(message: ServiceBusReceivedMessage) -> MessageData:
    """Copy a received message for a worker."""
    properties = {_text(name): _json_value(value) for name, value in (message.application_properties or {}).items()}
    metadata = {
        # The header counts failed deliveries; .NET, and so Functions, counts this delivery too.
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


def _body(message: ServiceBusReceivedMessage) -> bytes:
    if message.body_type is AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    return str(message).encode()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _json_value(value: Any) -> Any:
    """A value of an application property as the host's JSON has it."""
    if isinstance(value, dt.datetime):
        # The converter tries its formats in turn, and this one before the one that ends in Z.
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()  # the client gives AMQP strings as bytes
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value
