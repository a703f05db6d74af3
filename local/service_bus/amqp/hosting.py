from typing import Any, Protocol

from local.service_bus.amqp.outgoing import ClientReceivesReplies
from local.service_bus.broker.errors import BrokerError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.faults import Faults


class Host(Protocol):
    """What a link needs of its connection."""

    namespace: Namespace
    faults: Faults

    def is_writable(self) -> bool:
        """Whether the socket takes more."""

    def request_flush(self) -> None:
        """Asks for what the engine has to write to be written."""

    def refuse(self, link: Any, error: BrokerError) -> None:
        """Answers the attach of a link with an error."""

    def detach(self, link: Any, error: BrokerError) -> None:
        """Ends a link that was open, and says why."""

    def reply_link(self, session: Any, path: str, reply_to: str | None) -> ClientReceivesReplies | None:
        """Where the response to a request goes."""
