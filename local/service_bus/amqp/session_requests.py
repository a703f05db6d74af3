"""The operations of `<queue>/$management` on sessions."""

from collections.abc import Callable
from struct import pack

from local.service_bus.amqp import encode
from local.service_bus.amqp.requests import Request, Response
from local.service_bus.broker.errors import NotAllowedError
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.session_queue import SessionQueue

_NO_CONTENT = 204


def _sessions_of(queue: Queue) -> SessionQueue:
    if not isinstance(queue, SessionQueue):
        raise NotAllowedError(f"The entity '{queue.name}' has no sessions.")
    return queue


def _renew_session_lock(queue: Queue, request: Request) -> Response:
    until_ms = _sessions_of(queue).renew_session(request.field("session-id", str))
    return Response(body=[("expiration", encode.timestamp(until_ms))])


def _get_session_state(queue: Queue, request: Request) -> Response:
    state = _sessions_of(queue).session_state(request.field("session-id", str))
    return Response(body=[("session-state", encode.NULL if state is None else encode.binary(state))])


def _set_session_state(queue: Queue, request: Request) -> Response:
    state = request.field("session-state", bytes | None)
    _sessions_of(queue).set_session_state(request.field("session-id", str), state)
    return Response()


def _get_message_sessions(queue: Queue, request: Request) -> Response:
    skip, top = request.field("skip", int), request.field("top", int)
    found = _sessions_of(queue).session_ids()[max(0, skip) :][: max(0, top)]
    if not found:
        return Response(_NO_CONTENT, "No sessions")
    ids = encode.array_of(b"\xb1", [pack(">I", len(raw)) + raw for raw in map(str.encode, found)])
    return Response(body=[("skip", encode.int32(skip)), ("sessions-ids", ids)])


SESSION_OPERATIONS: dict[str, Callable[[Queue, Request], Response]] = {
    "renew-session-lock": _renew_session_lock,
    "get-session-state": _get_session_state,
    "set-session-state": _set_session_state,
    "get-message-sessions": _get_message_sessions,
}
