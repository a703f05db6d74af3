"""Links on which the client receives messages or responses."""

from collections import deque
from collections.abc import Callable
from typing import Any

from cproton_ffi import ffi, lib

from local.service_bus.amqp.engine import set_condition
from local.service_bus.amqp.envelope import envelope
from local.service_bus.amqp.settlement import settle
from local.service_bus.broker.errors import BrokerError
from local.service_bus.broker.messages import Message
from local.service_bus.broker.queue import Queue


def _send(link: Any, tag: bytes, data: bytes) -> Any:
    """Sends one delivery on `link` and returns it."""
    delivery = lib.pn_delivery(link, (len(tag), ffi.from_buffer(tag)))
    lib.pn_link_send(link, ffi.from_buffer(data), len(data))
    lib.pn_link_advance(link)
    return delivery


class ClientReceives:
    """A link on which the client receives from a queue.

    Args:
        link: the engine's link.
        queue: the queue that the client receives from.
        is_writable: whether the connection's socket accepts more bytes; nothing is delivered while it does not.
        on_output: called when the engine has bytes to send.
    """

    def __init__(self, link: Any, queue: Queue, is_writable: Callable[[], bool], on_output: Callable[[], None]) -> None:
        self._link = link
        self._queue = queue
        self._is_writable = is_writable
        self._on_output = on_output
        self._sent = 0
        self.deletes = lib.pn_link_remote_snd_settle_mode(link) == lib.PN_SND_SETTLED

    @property
    def entity(self) -> str:
        """The path of the queue."""
        return self._queue.name

    def open(self) -> None:
        """Answers the attach; the client then grants credit."""
        lib.pn_link_open(self._link)

    def capacity(self) -> int:
        """The client's credit; 0 while the socket accepts no more bytes."""
        return lib.pn_link_credit(self._link) if self._is_writable() else 0

    def deliver(self, message: Message) -> None:
        """Sends `message`, tagged with its lock token, or settled if the link deletes on receipt."""
        self._sent += 1
        tag = message.lock_token or self._sent.to_bytes(8, "big")
        delivery = _send(self._link, tag, envelope(message, locked=not self.deletes))
        if self.deletes:
            lib.pn_delivery_settle(delivery)
        self._on_output()

    def on_flow(self) -> None:
        """Waits for messages up to the client's credit; returns unused credit if the client asks for a drain."""
        self._queue.wait(self)
        if lib.pn_link_get_drain(self._link):
            lib.pn_link_drained(self._link)

    def on_delivery(self, delivery: Any) -> None:
        """Applies the client's disposition and settles the delivery."""
        if not lib.pn_delivery_updated(delivery):
            return
        tag = lib.pn_delivery_tag(delivery)
        try:
            outcome = settle(self._queue, ffi.unpack(tag.start, tag.size), delivery)
        except BrokerError as error:
            set_condition(lib.pn_disposition_condition(lib.pn_delivery_local(delivery)), error)
            outcome = lib.PN_REJECTED
        if outcome is None:
            return
        lib.pn_delivery_update(delivery, outcome)
        lib.pn_delivery_settle(delivery)

    def on_close(self) -> None:
        """Stops deliveries; messages that the client has locked stay locked until their locks end."""
        self._queue.forget(self)


class ClientReceivesReplies:
    """A link on which the client receives responses from `$cbs` or a `$management`."""

    def __init__(self, link: Any, path: str) -> None:
        self._link = link
        self._backlog: deque[bytes] = deque()
        self._sent = 0
        self.path = path
        self.session = lib.pn_link_session(link)

    @property
    def reply_to(self) -> str:
        """The address that requests name for their responses; empty if the client sets none."""
        address = lib.pn_terminus_get_address(lib.pn_link_remote_target(self._link))
        return "" if address == ffi.NULL else bytes(ffi.string(address)).decode(errors="replace")

    def open(self) -> None:
        """Answers the attach; the client then grants credit."""
        lib.pn_link_open(self._link)

    def reply(self, response: bytes) -> None:
        """Sends an encoded response as soon as the client has granted credit."""
        self._backlog.append(response)
        self.on_flow()

    def on_flow(self) -> None:
        """Sends the responses that wait for credit."""
        while self._backlog and lib.pn_link_credit(self._link) > 0:
            self._sent += 1
            lib.pn_delivery_settle(_send(self._link, self._sent.to_bytes(8, "big"), self._backlog.popleft()))
        if lib.pn_link_get_drain(self._link):
            lib.pn_link_drained(self._link)

    def on_delivery(self, delivery: Any) -> None:
        """Does nothing: responses are sent settled."""

    def on_close(self) -> None:
        """Does nothing: unsent responses are dropped with the link."""
