from typing import Any
from urllib.parse import quote

import httpx

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.faults import Condition, Moment

_TIMEOUT_SECONDS = 10


class ControlError(Exception):
    """The emulator refuses a request, or does not answer.

    Attributes:
        status: the HTTP status, None when there is no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ControlClient:
    """The control interface of an emulator. Every method raises ControlError."""

    def __init__(self, http_port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=_TIMEOUT_SECONDS, trust_env=False)

    def is_healthy(self) -> bool:
        """Whether clients can connect."""
        return self._send("GET", "/health").status_code == httpx.codes.OK

    def queues(self) -> list[QueueCounts]:
        """How many messages each queue holds now."""
        return [QueueCounts(**counts) for counts in self._ask("GET", "/queues")]

    def drop_connections(self) -> int:
        """Cuts all connections; returns how many there were."""
        dropped: int = self._ask("DELETE", "/connections")["dropped"]
        return dropped

    def drop(self, at: Moment, count: int | None = 1, entity: str | None = None) -> int:
        """Cuts a connection the next `count` times at this moment, None meaning every time; returns the fault's id."""
        return self._arm({"fault": "drop", "at": at, "count": count, "entity": entity})

    def lose_acknowledgements(self, count: int | None = 1, entity: str | None = None) -> int:
        """Stores the next `count` sends and cuts their connections unacknowledged; returns the fault's id."""
        return self.drop(Moment.ACKNOWLEDGE, count, entity)

    def refuse(
        self, condition: Condition, at: Moment = Moment.SEND, count: int | None = 1, entity: str | None = None
    ) -> int:
        """Refuses the next `count` sends, attaches or connections; returns the fault's id."""
        return self._arm({"fault": "refuse", "condition": condition, "at": at, "count": count, "entity": entity})

    def delay(self, milliseconds: int) -> int:
        """Holds back by so long whatever the emulator writes, until lifted; returns the fault's id."""
        return self._arm({"fault": "delay", "milliseconds": milliseconds})

    def faults(self) -> list[dict[str, Any]]:
        """The armed faults, oldest first, as the interface shows them."""
        faults: list[dict[str, Any]] = self._ask("GET", "/faults")
        return faults

    def lift(self, fault_id: int) -> None:
        """Disarms one fault."""
        self._ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Disarms all faults."""
        self._ask("DELETE", "/faults")

    def restart(self, seconds: float | None = 0, *, lose_messages: bool = False) -> None:
        """Cuts all connections and listens again after `seconds`, None meaning at `resume`.

        With 0 seconds it listens again on return.
        """
        self._ask("POST", "/restart", {"seconds": seconds, "lose_messages": lose_messages})

    def resume(self) -> None:
        """Ends the outage of a restart."""
        self._ask("POST", "/resume")

    def let_pass(self, seconds: float) -> None:
        """Lets so much time pass at once, by the emulator's clock."""
        self._ask("POST", "/clock", {"seconds": seconds})

    def create_queue(self, name: str, **properties: Any) -> None:
        """Creates a queue; the properties are named and written as in Config.json: `LockDuration="PT5S"`."""
        self._ask("PUT", f"/queues/{quote(name)}", properties)

    def delete_queue(self, name: str) -> None:
        """Deletes a queue."""
        self._ask("DELETE", f"/queues/{quote(name)}")

    def create_topic(self, name: str, **properties: Any) -> None:
        """Creates a topic without subscriptions."""
        self._ask("PUT", f"/topics/{quote(name)}", properties)

    def delete_topic(self, name: str) -> None:
        """Deletes a topic and its subscriptions."""
        self._ask("DELETE", f"/topics/{quote(name)}")

    def create_subscription(self, topic: str, name: str, **properties: Any) -> None:
        """Creates a subscription of a topic."""
        self._ask("PUT", f"/topics/{quote(topic)}/subscriptions/{quote(name)}", properties)

    def delete_subscription(self, topic: str, name: str) -> None:
        """Deletes a subscription."""
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
