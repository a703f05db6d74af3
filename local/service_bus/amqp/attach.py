"""From an address that a client attaches to, to the link that serves it."""

from collections.abc import Callable
from typing import Any, Protocol

from cproton_ffi import ffi, lib

from local.service_bus.amqp.decode import DECODING_ERRORS, read
from local.service_bus.amqp.engine import data_bytes, text
from local.service_bus.amqp.frames import IncomingLink
from local.service_bus.amqp.incoming import ClientSends
from local.service_bus.amqp.management import manage
from local.service_bus.amqp.outgoing import ClientReceives, ClientReceivesReplies
from local.service_bus.amqp.requests import Request, Response, encode_response, parse_request
from local.service_bus.amqp.sections import parse, parse_batch
from local.service_bus.broker.errors import (
    EntityNotFoundError,
    MalformedMessageError,
    NotAllowedError,
    UnsupportedError,
)
from local.service_bus.broker.namespace import Namespace, normalise
from local.service_bus.broker.queue import Queue

_CBS = "$cbs"
_MANAGEMENT = "/$management"
_ACCEPTED = 202
_BATCH_FORMAT = 0x80013700
_SESSION_FILTER = "com.microsoft:session-filter"
_CBS_NAMES = ("status-code", "status-description")
_MANAGEMENT_NAMES = ("statusCode", "statusDescription")


class Host(Protocol):
    """What a link needs of its connection."""

    namespace: Namespace

    def is_writable(self) -> bool:
        """Whether the socket takes more."""

    def request_flush(self) -> None:
        """Asks for what the engine has to write to be written."""

    def reply_link(self, session: Any, path: str, reply_to: str | None) -> ClientReceivesReplies | None:
        """Where the response to a request goes."""


def outgoing_link(host: Host, link: Any) -> ClientReceives | ClientReceivesReplies:
    """The link for a client that receives.

    Raises:
        EntityNotFoundError: there is nothing at its address.
        NotAllowedError: it asks for a session, and no queue has any.
    """
    source = lib.pn_link_remote_source(link)
    path = normalise(_address(source))
    if path == _CBS or path.endswith(_MANAGEMENT):
        return ClientReceivesReplies(link, path)
    queue = host.namespace.find(path)
    if _asks_for_session(source):
        raise NotAllowedError(f"The queue '{queue.name}' has no sessions.")
    return ClientReceives(link, queue, host.is_writable, host.request_flush)


def incoming_link(host: Host, link: Any, record: IncomingLink) -> ClientSends:
    """The link for a client that sends.

    Raises:
        EntityNotFoundError: there is nothing at its address.
        NotAllowedError: it is a dead-letter queue.
        UnsupportedError: it is a transaction coordinator.
    """
    target = lib.pn_link_remote_target(link)
    if lib.pn_terminus_get_type(target) == lib.PN_COORDINATOR:
        raise UnsupportedError("The emulator has no transactions.")
    path = normalise(_address(target))
    if path == _CBS:
        return ClientSends(link, record, _answering(host, link, path, _authorise, _CBS_NAMES))
    if path.endswith(_MANAGEMENT):
        queue = host.namespace.find(path.removesuffix(_MANAGEMENT))
        answer = _answering(host, link, path, lambda request: manage(queue, request), _MANAGEMENT_NAMES)
        return ClientSends(link, record, answer)
    queue = host.namespace.find(path)
    if queue.dead_letters is None:
        raise NotAllowedError("Messages cannot be sent to a dead-letter queue.")
    return ClientSends(link, record, _enqueueing(queue))


def _enqueueing(queue: Queue) -> Callable[[bytes, int], None]:
    def accept(data: bytes, message_format: int) -> None:
        queue.enqueue(parse_batch(data) if message_format == _BATCH_FORMAT else [parse(data)])

    return accept


def _answering(
    host: Host, link: Any, path: str, handle: Callable[[Request], Response], names: tuple[str, str]
) -> Callable[[bytes, int], None]:
    session = lib.pn_link_session(link)

    def accept(data: bytes, _: int) -> None:
        request = parse_request(data)
        replies = host.reply_link(session, path, request.reply_to)
        if replies is not None:
            replies.reply(encode_response(request, handle(request), names))

    return accept


def _authorise(request: Request) -> Response:
    """Any token will do: there is no one to keep out of a loopback port."""
    if request.operation != "put-token":
        return Response.refusal(UnsupportedError(f"The emulator does not know the operation '{request.operation}'."))
    return Response(_ACCEPTED, "Accepted")


def _address(terminus: Any) -> str:
    address = lib.pn_terminus_get_address(terminus)
    if address == ffi.NULL:
        raise EntityNotFoundError("The link gives no address.")
    return text(address)


def _asks_for_session(source: Any) -> bool:
    encoded = data_bytes(lib.pn_terminus_filter(source))
    try:
        filters = read(encoded)[0] if encoded else {}
    except DECODING_ERRORS as exc:
        raise MalformedMessageError("The filter of the link cannot be read.") from exc
    return isinstance(filters, dict) and _SESSION_FILTER in filters
