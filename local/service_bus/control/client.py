"""A client of the control interface."""

from typing import Any
from urllib.parse import quote

import httpx

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.faults import Condition, Moment

_TIMEOUT_SECONDS = 60


class ControlError(Exception):
    """The emulator refuses a request or does not answer.

    Attributes:
        status: the HTTP status, None if there is no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ControlClient:
    """Sends requests to the control interface. Every method may raise ControlError."""

    def __init__(self, http_port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=_TIMEOUT_SECONDS, trust_env=False)

    def is_healthy(self) -> bool:
        """Whether clients can connect."""
        return self._send("GET", "/health").status_code == httpx.codes.OK

    def queues(self) -> list[QueueCounts]:
        """Returns the message counts of every queue, topic and subscription."""
        return [QueueCounts(**counts) for counts in self._ask("GET", "/queues")]

    def drop_connections(self) -> int:
        """Closes all connections and returns their number."""
        dropped: int = self._ask("DELETE", "/connections")["dropped"]
        return dropped

    def drop(self, at: Moment, count: int | None = 1, entity: str | None = None) -> int:
        """Closes a connection the next `count` times at this moment, None for every time; returns the fault's id."""
        return self._arm({"fault": "drop", "at": at, "count": count, "entity": entity})

    def lose_acknowledgements(self, count: int | None = 1, entity: str | None = None) -> int:
        """Stores the next `count` sends and closes their connections before the acknowledgement; returns the id."""
        return self.drop(Moment.ACKNOWLEDGE, count, entity)

    def refuse(
        self, condition: Condition, at: Moment = Moment.SEND, count: int | None = 1, entity: str | None = None
    ) -> int:
        """Refuses the next `count` sends, attaches or connections; returns the fault's id."""
        return self._arm({"fault": "refuse", "condition": condition, "at": at, "count": count, "entity": entity})

    def delay(self, milliseconds: int) -> int:
        """Delays everything that the emulator writes until the fault is lifted; returns the fault's id."""
        return self._arm({"fault": "delay", "milliseconds": milliseconds})

    def faults(self) -> list[dict[str, Any]]:
        """Returns the armed faults as JSON objects, oldest first."""
        faults: list[dict[str, Any]] = self._ask("GET", "/faults")
        return faults

    def lift(self, fault_id: int) -> None:
        """Disarms one fault."""
        self._ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Disarms all faults."""
        self._ask("DELETE", "/faults")

    def restart(self, seconds: float | None = 0, *, lose_messages: bool = False) -> None:
        """Closes all connections, ends all locks, and listens again after `seconds`.

        With 0 seconds the emulator listens again when this method returns; with None, when `resume` is called.
        """
        self._ask("POST", "/restart", {"seconds": seconds, "lose_messages": lose_messages})

    def resume(self) -> None:
        """Ends the outage of a restart."""
        self._ask("POST", "/resume")

    def let_pass(self, seconds: float) -> None:
        """Sets the emulator's clock forward."""
        self._ask("POST", "/clock", {"seconds": seconds})

    def create_queue(self, name: str, **properties: Any) -> None:
        """Creates a queue; names and values of properties are those of Config.json, such as `LockDuration="PT5S"`."""
        self._ask("PUT", f"/queues/{quote(name)}", properties)

    def delete_queue(self, name: str) -> None:
        """Deletes a queue and its messages."""
        self._ask("DELETE", f"/queues/{quote(name)}")

    def create_topic(self, name: str, **properties: Any) -> None:
        """Creates a topic without subscriptions."""
        self._ask("PUT", f"/topics/{quote(name)}", properties)

    def delete_topic(self, name: str) -> None:
        """Deletes a topic and its subscriptions."""
        self._ask("DELETE", f"/topics/{quote(name)}")

    def create_subscription(self, topic: str, name: str, **properties: Any) -> None:
        """Creates a subscription; properties are as for a queue."""
        self._ask("PUT", f"/topics/{quote(topic)}/subscriptions/{quote(name)}", properties)

    def delete_subscription(self, topic: str, name: str) -> None:
        """Deletes a subscription and its messages."""
        self._ask("DELETE", f"/topics/{quote(topic)}/subscriptions/{quote(name)}")

    def close(self) -> None:
        """Closes the connection to the emulator."""
        self._http.close()

    def _arm(self, fault: dict[str, Any]) -> int:
        fault_id: int = self._ask("POST", "/faults", fault)["id"]
        return fault_id

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        response = self._send(method, path, content)
        if response.is_error:
            raise ControlError(response.json()["error"], response.status_code)
        return response.json() if response.content else None

    def _send(self, method: str, path: str, content: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=content)
        except httpx.TransportError as exc:
            raise ControlError(f"The emulator does not answer: {exc}") from exc
