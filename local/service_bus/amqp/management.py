"""The operations of `<queue>/$management` on messages."""

from collections.abc import Callable
from struct import pack
from uuid import UUID

from local.service_bus.amqp import encode
from local.service_bus.amqp.envelope import envelope
from local.service_bus.amqp.requests import Request, Response
from local.service_bus.amqp.sections import parse
from local.service_bus.amqp.session_requests import SESSION_OPERATIONS
from local.service_bus.broker.errors import BrokerError, MalformedMessageError, UnsupportedError
from local.service_bus.broker.queue import Queue

_PREFIX = "com.microsoft:"
_NO_CONTENT = 204
_RECEIVE_AND_DELETE = 0


def manage(queue: Queue, request: Request) -> Response:
    """Carries out `request` on `queue`; a broker error becomes a response with a status and a condition."""
    operation = _OPERATIONS.get(request.operation.removeprefix(_PREFIX))
    try:
        if operation is None:
            raise UnsupportedError(f"The emulator does not know the operation '{request.operation}'.")
        return operation(queue, request)
    except BrokerError as error:
        return Response.refusal(error)


def _renew_lock(queue: Queue, request: Request) -> Response:
    ends_ms = queue.renew(_lock_tokens(request))
    expirations = encode.array_of(encode.TIMESTAMP, [pack(">q", end_ms) for end_ms in ends_ms])
    return Response(body=[("expirations", expirations)])


def _peek_message(queue: Queue, request: Request) -> Response:
    from_number, count = request.field("from-sequence-number", int), request.field("message-count", int)
    found = queue.peek(from_number, max(0, count), request.text("session-id"))
    if not found:
        return Response(_NO_CONTENT, "No messages")
    messages: list[bytes] = []
    size_bytes = 0
    for message in found:
        encoded = envelope(message, locked=False)
        size_bytes += len(encoded)
        # A response contains as many messages as fit into its size limit, but at least one.
        if messages and size_bytes > queue.settings.max_message_bytes:
            break
        messages.append(encode.map_of([(encode.string("message"), encode.binary(encoded))]))
    return Response(body=[("messages", encode.list_of(messages))])


def _schedule_message(queue: Queue, request: Request) -> Response:
    encoded = [entry.get("message") for entry in request.list_of("messages", dict)]
    if not all(isinstance(message, bytes) for message in encoded):
        raise MalformedMessageError("The request lacks a valid 'messages'.")
    numbers = queue.enqueue(parse(message) for message in encoded)
    return Response(
        body=[("sequence-numbers", encode.array_of(encode.LONG, [pack(">q", number) for number in numbers]))]
    )


def _cancel_scheduled_message(queue: Queue, request: Request) -> Response:
    queue.cancel_scheduled(request.list_of("sequence-numbers", int))
    return Response()


def _update_disposition(queue: Queue, request: Request) -> Response:
    for token in _lock_tokens(request):
        match request.field("disposition-status", str):
            case "completed":
                queue.complete(token)
            case "abandoned":
                queue.abandon(token)
            case "defered":
                queue.defer(token)
            case "suspended":
                queue.dead_letter(token, request.text("deadletter-reason"), request.text("deadletter-description"))
            case status:
                raise UnsupportedError(f"The emulator does not know the disposition '{status}'.")
    return Response()


def _receive_by_sequence_number(queue: Queue, request: Request) -> Response:
    deletes = request.field("receiver-settle-mode", int) == _RECEIVE_AND_DELETE
    numbers = request.list_of("sequence-numbers", int)
    found = queue.receive_deferred(numbers, request.text("session-id"), deletes=deletes)
    messages = [
        encode.map_of(
            [
                (encode.string("lock-token"), encode.uuid(UUID(bytes_le=message.lock_token or bytes(16)))),
                (encode.string("message"), encode.binary(envelope(message, locked=not deletes))),
            ]
        )
        for message in found
    ]
    return Response(body=[("messages", encode.list_of(messages))])


def _lock_tokens(request: Request) -> list[bytes]:
    return [token.bytes_le for token in request.list_of("lock-tokens", UUID)]


_OPERATIONS: dict[str, Callable[[Queue, Request], Response]] = {
    "renew-lock": _renew_lock,
    "peek-message": _peek_message,
    "receive-by-sequence-number": _receive_by_sequence_number,
    "schedule-message": _schedule_message,
    "cancel-scheduled-message": _cancel_scheduled_message,
    "update-disposition": _update_disposition,
    **SESSION_OPERATIONS,
}
