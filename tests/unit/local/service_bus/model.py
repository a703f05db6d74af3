"""A simple model of a queue, without agendas or lanes; the property tests compare the broker's queue with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.unit.local.service_bus.support import Clock, submission


class Place(Enum):
    SCHEDULED = auto()
    RECEIVABLE = auto()
    LOCKED = auto()
    DEFERRED = auto()
    DEAD = auto()
    GONE = auto()


@dataclass(eq=False)
class Expected:
    name: str
    number: int
    place: Place
    session_id: str | None = None
    ttl_ms: int | None = None
    due_ms: int = 0
    expires_ms: float = float("inf")
    count: int = 0
    deferred: bool = False
    token: bytes = b""
    until_ms: int = 0

    @property
    def size_bytes(self) -> int:
        return size_of(self.name)


def size_of(name: str) -> int:
    return submission(name).content.size_bytes


@dataclass
class QueueModel:
    """The expected messages of a queue; dead letters stay in the model as DEAD."""

    clock: Clock
    max_deliveries: int
    window_ms: int | None = None
    messages: dict[str, Expected] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    last_number: int = 0

    def at(self, *places: Place, session_id: str | None = None) -> list[Expected]:
        """The messages in these places, in order of sequence number."""
        found = (m for m in self.messages.values() if m.place in places and session_id in (None, m.session_id))
        return sorted(found, key=lambda message: message.number)

    def here(self) -> list[Expected]:
        return self.at(Place.SCHEDULED, Place.RECEIVABLE, Place.LOCKED, Place.DEFERRED)

    def size_bytes(self) -> int:
        return sum(message.size_bytes for message in [*self.here(), *self.at(Place.DEAD)])

    def send(
        self,
        name: str,
        message_id: str | None = None,
        ttl_ms: int | None = None,
        due_ms: int | None = None,
        session_id: str | None = None,
    ) -> int:
        self.last_number += 1
        now_ms = self.clock.now_ms
        if message_id is not None and self.window_ms is not None:
            if self.seen.get(message_id, 0) > now_ms:
                return self.last_number
            self.seen[message_id] = now_ms + self.window_ms
        message = Expected(name, self.last_number, Place.RECEIVABLE, session_id, ttl_ms)
        self.messages[name] = message
        if due_ms is not None and due_ms > now_ms:
            message.place, message.due_ms = Place.SCHEDULED, due_ms
        else:
            self._enter(message)
        return self.last_number

    def lock(self, message: Expected, token: bytes, until_ms: int) -> None:
        message.place, message.token, message.until_ms = Place.LOCKED, token, until_ms

    def is_valid(self, name: str, token: bytes) -> bool:
        message = self.messages[name]
        return message.place is Place.LOCKED and message.token == token and message.until_ms > self.clock.now_ms

    def settle(self, message: Expected, how: str) -> None:
        match how:
            case "complete":
                message.place = Place.GONE
            case "abandon" | "release":
                self.return_message(message, counts=how == "abandon")
            case "defer":
                message.deferred = True
                self.return_message(message, counts=False)
            case "dead_letter":
                message.place = Place.DEAD

    def return_message(self, message: Expected, *, counts: bool) -> None:
        message.count += counts
        if message.count >= self.max_deliveries:
            message.place = Place.DEAD
        else:
            message.place = Place.DEFERRED if message.deferred else Place.RECEIVABLE
            self._expire([message])

    def apply_due(self) -> None:
        now_ms = self.clock.now_ms
        for message in sorted(self.at(Place.SCHEDULED), key=lambda message: message.due_ms):
            if message.due_ms <= now_ms:
                self.last_number += 1
                message.number, message.place = self.last_number, Place.RECEIVABLE
                self._enter(message)
        for message in self.at(Place.LOCKED):
            if message.until_ms <= now_ms:
                self.return_message(message, counts=True)
        self._expire(self.at(Place.RECEIVABLE, Place.DEFERRED))

    def lose_locks(self) -> None:
        """Ends all locks without counting the deliveries, as a restart does."""
        for message in self.at(Place.LOCKED):
            self.return_message(message, counts=False)

    def _enter(self, message: Expected) -> None:
        if message.ttl_ms is not None:
            message.expires_ms = self.clock.now_ms + message.ttl_ms

    def _expire(self, messages: Iterable[Expected]) -> None:
        for message in messages:
            if message.expires_ms <= self.clock.now_ms:
                message.place = Place.DEAD
