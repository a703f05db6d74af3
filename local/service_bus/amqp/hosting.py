"""The interface of a connection that its links use."""

from typing import Any, Protocol

from local.service_bus.amqp.outgoing import ClientReceivesReplies
from local.service_bus.broker.errors import BrokerError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.faults import Faults


class Host(Protocol):
    """The connection, as its links see it."""

    namespace: Namespace
    faults: Faults

    def is_writable(self) -> bool:
        """Whether the socket accepts more bytes."""

    def request_flush(self) -> None:
        """Schedules a write of what the engine has to send."""

    def refuse(self, link: Any, error: BrokerError) -> None:
        """Answers the attach of a link with an error."""

    def detach(self, link: Any, error: BrokerError) -> None:
        """Closes an open link with an error."""

    def reply_link(self, session: Any, path: str, reply_to: str | None) -> ClientReceivesReplies | None:
        """The link for the response to a request, None if the client has attached none."""
