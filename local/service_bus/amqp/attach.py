"""Creates the link for the address that a client attaches to."""

from collections.abc import Callable
from typing import Any

from cproton_ffi import ffi, lib

from local.service_bus.amqp.decode import DECODING_ERRORS, Described, read
from local.service_bus.amqp.engine import data_bytes, text
from local.service_bus.amqp.frames import IncomingLink
from local.service_bus.amqp.hosting import Host
from local.service_bus.amqp.incoming import ClientSends
from local.service_bus.amqp.management import manage
from local.service_bus.amqp.outgoing import ClientReceives, ClientReceivesReplies
from local.service_bus.amqp.requests import Request, Response, encode_response, parse_request
from local.service_bus.amqp.sections import parse, parse_batch
from local.service_bus.amqp.session_link import ClientReceivesSession
from local.service_bus.broker.errors import (
    EntityNotFoundError,
    MalformedMessageError,
    NotAllowedError,
    UnsupportedError,
)
from local.service_bus.broker.namespace import normalise
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import STANDARD_MESSAGE_BYTES
from local.service_bus.faults import Faults, Moment

_CBS = "$cbs"
_MANAGEMENT = "/$management"
_ACCEPTED = 202
_BATCH_FORMAT = 0x80013700
_SESSION_FILTER = "com.microsoft:session-filter"
_CBS_NAMES = ("status-code", "status-description")
_MANAGEMENT_NAMES = ("statusCode", "statusDescription")


def outgoing_link(host: Host, link: Any) -> ClientReceives | ClientReceivesReplies | ClientReceivesSession:
    """Creates the link for a client that receives.

    Raises:
        EntityNotFoundError: no entity has this address.
        NotAllowedError: the entity is a topic, requires a session, or does not support sessions.
    """
    source = lib.pn_link_remote_source(link)
    path = normalise(_address(source))
    if path == _CBS or path.endswith(_MANAGEMENT):
        return ClientReceivesReplies(link, path)
    queue = host.namespace.find(path)
    if queue.subscriptions is not None:
        raise NotAllowedError(f"Messages of the topic '{queue.name}' are received from its subscriptions.")
    filters = _filters(source)
    if isinstance(queue, SessionQueue):
        if _SESSION_FILTER not in filters:
            raise NotAllowedError(f"The entity '{queue.name}' requires sessions; the link asks for none.")
        host.faults.strike(Moment.ATTACH, path)
        return ClientReceivesSession(host, link, queue, _session_id(filters[_SESSION_FILTER]))
    if _SESSION_FILTER in filters:
        raise NotAllowedError(f"The entity '{queue.name}' has no sessions.")
    host.faults.strike(Moment.ATTACH, path)
    return ClientReceives(link, queue, host.is_writable, host.request_flush)


def incoming_link(host: Host, link: Any, record: IncomingLink) -> ClientSends:
    """Creates the link for a client that sends.

    Raises:
        EntityNotFoundError: no entity has this address.
        NotAllowedError: the entity is a subscription or a dead-letter queue.
        UnsupportedError: the target is a transaction coordinator.
    """
    target = lib.pn_link_remote_target(link)
    if lib.pn_terminus_get_type(target) == lib.PN_COORDINATOR:
        raise UnsupportedError("The emulator does not support transactions.")
    path = normalise(_address(target))
    if path == _CBS:
        return ClientSends(link, record, _answering(host, link, path, _authorise, _CBS_NAMES), STANDARD_MESSAGE_BYTES)
    if path.endswith(_MANAGEMENT):
        queue = host.namespace.find(path.removesuffix(_MANAGEMENT))
        answer = _answering(host, link, path, lambda request: manage(queue, request), _MANAGEMENT_NAMES)
        return ClientSends(link, record, answer, queue.settings.max_message_bytes)
    queue = host.namespace.find(path)
    queue.check_open()
    host.faults.strike(Moment.ATTACH, path)
    return ClientSends(link, record, _enqueueing(queue, host.faults), queue.settings.max_message_bytes)


def entity_path(link: Any) -> str:
    """The path of the entity that `link` is attached to, either directly or through its `$management`."""
    is_sender = lib.pn_link_is_sender(link)
    terminus = lib.pn_link_remote_source(link) if is_sender else lib.pn_link_remote_target(link)
    return normalise(text(lib.pn_terminus_get_address(terminus))).removesuffix(_MANAGEMENT)


def _enqueueing(queue: Queue, faults: Faults) -> Callable[[bytes, int], None]:
    def accept(data: bytes, message_format: int) -> None:
        faults.strike(Moment.SEND, queue.name)
        queue.enqueue(parse_batch(data) if message_format == _BATCH_FORMAT else [parse(data)])
        faults.strike(Moment.ACKNOWLEDGE, queue.name)

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
    """Accepts every token: the emulator listens on the loopback interface only."""
    if request.operation != "put-token":
        return Response.refusal(UnsupportedError(f"The emulator does not know the operation '{request.operation}'."))
    return Response(_ACCEPTED, "Accepted")


def _address(terminus: Any) -> str:
    address = lib.pn_terminus_get_address(terminus)
    if address == ffi.NULL:
        raise EntityNotFoundError("The link has no address.")
    return text(address)


def _filters(source: Any) -> dict[Any, Any]:
    encoded = data_bytes(lib.pn_terminus_filter(source))
    try:
        filters = read(encoded)[0] if encoded else {}
    except DECODING_ERRORS as exc:
        raise MalformedMessageError("The filter of the link cannot be read.") from exc
    return filters if isinstance(filters, dict) else {}


def _session_id(asked: Any) -> str | None:
    value = asked.value if isinstance(asked, Described) else asked
    if value is not None and not isinstance(value, str):
        raise NotAllowedError("The id of a session must be a string.")
    return value
