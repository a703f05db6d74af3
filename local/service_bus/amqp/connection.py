"""The AMQP connection of one client."""

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

# How long to wait after a failed commit. The server's tick logs the failure, so this class does not.
_COMMIT_RETRY_SECONDS = 0.5
# How long a client may take to close its side after the emulator has closed its own.
_LINGER_SECONDS = 2

Link = ClientSends | ClientReceives | ClientReceivesReplies


class AmqpConnection(asyncio.Protocol):
    """Passes a client's bytes through handshake and frame filter to the engine, and the engine's events to the links.

    `connections` is the set of open connections; this one adds and removes itself.
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
        """Called by the event loop when a client connects."""
        self._transport = cast("asyncio.Transport", transport)
        self._writer = DelayedWriter(self._transport, lambda: self.faults.delay_ms)
        self._peer = transport.get_extra_info("peername")
        self._connections.add(self)
        logger.info("Connection from %s", self._peer)

    def connection_lost(self, _: Exception | None) -> None:
        """Called by the event loop when the socket is closed; messages that the client locked stay locked."""
        self._end()
        self._writer.discard()
        self._connections.discard(self)
        self._engine.free()
        logger.info("Connection from %s ended", self._peer)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with bytes from the client."""
        try:
            if not self._handshake.done:
                answer, data = self._handshake.feed(data)
                self._writer.write(answer)
            if data:
                self._engine.push(self._filter.feed(data))
                self._process()
        except ProtocolError as exc:
            logger.info("Connection from %s violates the protocol: %s", self._peer, exc)
            self.close()
        except DroppedOnDemandError:
            logger.info("An injected fault closes the connection from %s", self._peer)
            self.close()

    def pause_writing(self) -> None:
        """Called by the event loop when the client reads too slowly; deliveries stop."""
        self._writable = False

    def resume_writing(self) -> None:
        """Called by the event loop when the client has caught up; deliveries continue."""
        self._writable = True
        for link in list(self._links.values()):
            link.on_flow()
        self._flush()

    def close(self) -> None:
        """Closes the connection at once and discards unread and unwritten bytes."""
        self._end()
        self._writer.abort()

    def release_writes(self) -> None:
        """Called when the injected delay changes."""
        self._writer.release()

    def is_writable(self) -> bool:
        """Whether the socket accepts more bytes."""
        return self._writable

    def request_flush(self) -> None:
        """Schedules a write of what the engine has to send, for output that another connection caused."""
        if not self._flush_requested:
            self._flush_requested = True
            self._loop.call_soon(self._flush)

    def reply_link(self, session: Any, path: str, reply_to: str | None) -> ClientReceivesReplies | None:
        """The link for the response to a request: at `reply_to`, or else at the same address on the same session."""
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
            self.namespace.commit()  # before any acknowledgement is written
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
        """Closes only this side: after a full close, a client that still writes would lose unread bytes."""
        self._end()
        self._writer.write_eof()
        seconds = self.faults.delay_ms / 1000 + _LINGER_SECONDS
        self._timer = self._loop.call_later(seconds, self._writer.abort)

    def _tick(self) -> None:
        """Lets the engine send heartbeats and detect a silent peer."""
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
            self._handlers.clear()  # ignore what the client sends before it reads this refusal
        # The peer's idle timeout is known from now on.
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
        # The copy of a terminus without an address is null, and a null terminus means refusal.
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
        """Closes a link with an error; further frames of the client on it are ignored."""
        self._links.pop(pointer, None)
        set_condition(lib.pn_link_condition(pointer), error)
        lib.pn_link_close(pointer)
        self.request_flush()

    def detach_from(self, paths: Container[str]) -> None:
        """Closes the links to deleted entities, given by their normalised paths."""
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
        if lib.pn_link_state(pointer) & lib.PN_LOCAL_ACTIVE:  # false if the client gave up before the answer
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
