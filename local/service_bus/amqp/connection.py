import asyncio
import logging
from collections.abc import Container
from typing import Any, cast

from cproton_ffi import lib

from local.service_bus.amqp.attach import entity_path, incoming_link, outgoing_link
from local.service_bus.amqp.engine import Engine, set_condition, text
from local.service_bus.amqp.errors import ProtocolError
from local.service_bus.amqp.frames import FrameFilter
from local.service_bus.amqp.incoming import ClientSends
from local.service_bus.amqp.outgoing import ClientReceives, ClientReceivesReplies
from local.service_bus.amqp.sasl import Handshake
from local.service_bus.amqp.writer import DelayedWriter
from local.service_bus.broker.errors import BrokerError, EntityNotFoundError
from local.service_bus.broker.journal import JournalError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.faults import DroppedOnDemandError, Faults, Moment, RefusedOnDemandError

logger = logging.getLogger(__name__)

# The server's own tick says that the journal fails; here it is only waited for.
_COMMIT_RETRY_SECONDS = 0.5
# How long a client may take to close its side after the emulator has closed the other.
_LINGER_SECONDS = 2

Link = ClientSends | ClientReceives | ClientReceivesReplies


class AmqpConnection(asyncio.Protocol):
    """One client: bytes pass the handshake and the frame filter into the engine, whose events move the links.

    `connections` holds every open connection; this one enters and leaves by itself.
    """

    def __init__(self, namespace: Namespace, faults: Faults, connections: "set[AmqpConnection]") -> None:
        self.namespace = namespace
        self.faults = faults
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._handshake = Handshake()
        self._filter = FrameFilter()
        self._engine = Engine()
        self._links: dict[Any, Link] = {}
        self._writable = True
        self._flush_requested = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._handlers = {
            lib.PN_CONNECTION_REMOTE_OPEN: self._on_connection_open,
            lib.PN_CONNECTION_REMOTE_CLOSE: self._on_connection_close,
            lib.PN_SESSION_REMOTE_OPEN: self._on_session_open,
            lib.PN_SESSION_REMOTE_CLOSE: self._on_session_close,
            lib.PN_LINK_REMOTE_OPEN: self._on_link_open,
            lib.PN_LINK_REMOTE_CLOSE: self._on_link_close,
            lib.PN_LINK_REMOTE_DETACH: self._on_link_close,
            lib.PN_LINK_FLOW: self._on_link_flow,
            lib.PN_DELIVERY: self._on_delivery,
            lib.PN_TRANSPORT_ERROR: self._on_transport_error,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop for a new client."""
        self._transport = cast("asyncio.Transport", transport)
        self._writer = DelayedWriter(self._transport, lambda: self.faults.delay_ms)
        self._peer = transport.get_extra_info("peername")
        self._connections.add(self)
        logger.info("Connection from %s", self._peer)

    def connection_lost(self, _: Exception | None) -> None:
        """Called by the event loop once the socket is gone; whatever was locked stays locked."""
        self._end()
        self._writer.discard()
        self._connections.discard(self)
        self._engine.free()
        logger.info("Connection from %s ended", self._peer)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with what the client has sent."""
        try:
            if not self._handshake.done:
                answer, data = self._handshake.feed(data)
                self._writer.write(answer)
            if data:
                self._engine.push(self._filter.feed(data))
                self._process()
        except ProtocolError as exc:
            logger.info("Connection from %s breaks the protocol: %s", self._peer, exc)
            self.close()
        except DroppedOnDemandError:
            logger.info("Connection from %s is dropped on demand", self._peer)
            self.close()

    def pause_writing(self) -> None:
        """Called by the event loop when the client reads too slowly: nothing more is delivered to it."""
        self._writable = False

    def resume_writing(self) -> None:
        """Called by the event loop when the client has caught up."""
        self._writable = True
        for link in list(self._links.values()):
            link.on_flow()
        self._flush()

    def close(self) -> None:
        """Ends the connection at once, whatever was still to be read or written."""
        self._end()
        self._writer.abort()

    def release_writes(self) -> None:
        """Called when the delay of what is written changes."""
        self._writer.release()

    def is_writable(self) -> bool:
        """Whether the socket takes more."""
        return self._writable

    def request_flush(self) -> None:
        """Writes soon what another connection's doing has put into this one's engine."""
        if not self._flush_requested:
            self._flush_requested = True
            self._loop.call_soon(self._flush)

    def reply_link(self, session: Any, path: str, reply_to: str | None) -> ClientReceivesReplies | None:
        """Where the response to a request goes: to `reply_to`, or else to the same address on the same session."""
        candidates = [
            link
            for link in self._links.values()
            if isinstance(link, ClientReceivesReplies) and link.session == session and link.path == path
        ]
        return next((link for link in candidates if link.reply_to == reply_to), candidates[0] if candidates else None)

    def _end(self) -> None:
        self._closed = True
        if self._timer:
            self._timer.cancel()
        links = list(self._links.values())
        self._links.clear()
        for link in links:
            link.on_close()

    def _process(self) -> None:
        for kind, event in self._engine.events():
            handler = self._handlers.get(kind)
            if handler:
                handler(event)
        self._flush()

    def _flush(self) -> None:
        self._flush_requested = False
        try:
            self.namespace.commit()  # nothing is acknowledged that would not outlive the process
        except JournalError:
            self._flush_requested = True
            self._loop.call_later(_COMMIT_RETRY_SECONDS, self._flush)
            return
        while self._writable and not self._closed:
            output = self._engine.output()
            if output is None:
                self._end_output()
                return
            if not output:
                return
            self._writer.write(output)

    def _end_output(self) -> None:
        """Closes this side only: a client that is still writing would lose what it has not read."""
        self._end()
        self._writer.write_eof()
        seconds = self.faults.delay_ms / 1000 + _LINGER_SECONDS
        self._timer = self._loop.call_later(seconds, self._writer.abort)

    def _tick(self) -> None:
        """Lets the engine send heartbeats and notice a peer that has fallen silent."""
        if self._closed:
            return
        if self._timer:
            self._timer.cancel()
        deadline_ms = self._engine.tick(int(self._loop.time() * 1000))
        self._timer = self._loop.call_at(deadline_ms / 1000, self._tick) if deadline_ms else None
        self._process()

    def _on_connection_open(self, _: Any) -> None:
        lib.pn_connection_set_container(self._engine.connection, b"lockstep-service-bus")
        lib.pn_connection_open(self._engine.connection)
        try:
            self.faults.strike(Moment.CONNECT)
        except RefusedOnDemandError as error:
            set_condition(lib.pn_connection_condition(self._engine.connection), error)
            lib.pn_connection_close(self._engine.connection)
            self._handlers.clear()  # a client does not wait for the answer to its open
        # Only now is the peer's idle timeout known.
        self._loop.call_soon(self._tick)

    def _on_connection_close(self, _: Any) -> None:
        lib.pn_connection_close(self._engine.connection)

    def _on_session_open(self, event: Any) -> None:
        lib.pn_session_open(lib.pn_event_session(event))

    def _on_session_close(self, event: Any) -> None:
        session = lib.pn_event_session(event)
        for pointer in [pointer for pointer in self._links if lib.pn_link_session(pointer) == session]:
            if link := self._links.pop(pointer, None):  # closing one may have detached another
                link.on_close()
        lib.pn_session_close(session)
        lib.pn_session_free(session)

    def _on_link_open(self, event: Any) -> None:
        pointer = lib.pn_event_link(event)
        lib.pn_terminus_copy(lib.pn_link_source(pointer), lib.pn_link_remote_source(pointer))
        lib.pn_terminus_copy(lib.pn_link_target(pointer), lib.pn_link_remote_target(pointer))
        lib.pn_link_set_snd_settle_mode(pointer, lib.pn_link_remote_snd_settle_mode(pointer))
        lib.pn_link_set_rcv_settle_mode(pointer, lib.pn_link_remote_rcv_settle_mode(pointer))
        # Copying a terminus without an address makes it null, and a null terminus means refused.
        lib.pn_terminus_set_type(lib.pn_link_source(pointer), lib.PN_SOURCE)
        lib.pn_terminus_set_type(lib.pn_link_target(pointer), lib.PN_TARGET)
        try:
            link = self._links[pointer] = self._create_link(pointer)
            link.open()
        except BrokerError as error:
            self.refuse(pointer, error)

    def _create_link(self, pointer: Any) -> Link:
        if lib.pn_link_is_sender(pointer):
            return outgoing_link(self, pointer)
        return incoming_link(self, pointer, self._filter.take_link(text(lib.pn_link_name(pointer))))

    def refuse(self, pointer: Any, error: BrokerError) -> None:
        """Answers the attach of a link with an error."""
        logger.info("Link from %s refused: %s", self._peer, error)
        lib.pn_terminus_set_type(lib.pn_link_source(pointer), lib.PN_UNSPECIFIED)
        lib.pn_terminus_set_type(lib.pn_link_target(pointer), lib.PN_UNSPECIFIED)
        lib.pn_link_open(pointer)
        self.detach(pointer, error)

    def detach(self, pointer: Any, error: BrokerError) -> None:
        """Ends a link, and says why; what the client still sends on it is ignored."""
        self._links.pop(pointer, None)
        set_condition(lib.pn_link_condition(pointer), error)
        lib.pn_link_close(pointer)
        self.request_flush()

    def detach_from(self, paths: Container[str]) -> None:
        """Ends the links to entities, by their normalised paths, that are no more."""
        for pointer, link in [
            (pointer, link) for pointer, link in self._links.items() if entity_path(pointer) in paths
        ]:
            link.on_close()
            error = EntityNotFoundError("The messaging entity has been deleted.")
            if lib.pn_link_state(pointer) & lib.PN_LOCAL_UNINIT:
                self.refuse(pointer, error)
            else:
                self.detach(pointer, error)

    def _on_link_close(self, event: Any) -> None:
        pointer = lib.pn_event_link(event)
        link = self._links.pop(pointer, None)
        if link:
            link.on_close()
        if lib.pn_link_state(pointer) & lib.PN_LOCAL_ACTIVE:  # not if the client gives up waiting for an answer
            lib.pn_link_close(pointer)
        lib.pn_link_free(pointer)

    def _on_link_flow(self, event: Any) -> None:
        link = self._links.get(lib.pn_event_link(event))
        if link:
            link.on_flow()

    def _on_delivery(self, event: Any) -> None:
        delivery = lib.pn_event_delivery(event)
        link = self._links.get(lib.pn_delivery_link(delivery))
        if isinstance(link, ClientReceives) and lib.pn_delivery_updated(delivery):
            self.faults.strike(Moment.SETTLE, link.entity)
        if link:
            link.on_delivery(delivery)

    def _on_transport_error(self, _: Any) -> None:
        logger.info("Connection from %s failed: %s", self._peer, self._engine.error())
