"""Receivers for the property tests; they check every call of the queue."""

from collections.abc import Callable
from dataclasses import dataclass

from local.service_bus.broker.messages import Message
from tests.unit.local.service_bus.support import LOCK_MS, Clock


@dataclass(eq=False)
class CheckedTaker:
    """A receiver that spends credit and checks each delivery."""

    deletes: bool
    check: Callable[["CheckedTaker", Message], None]
    credit: int = 0
    waits: bool = False

    def capacity(self) -> int:
        return self.credit

    def deliver(self, message: Message) -> None:
        assert self.waits, "only a waiting receiver gets messages"
        assert self.credit > 0, "a receiver never gets more than its credit"
        self.credit -= 1
        self.check(self, message)


@dataclass(eq=False)
class SessionHolder:
    """A session receiver that holds a session, waits for any session, or does neither; it checks each call."""

    clock: Clock
    check: Callable[["SessionHolder", Message], None]
    on_grant: Callable[["SessionHolder"], None]
    deletes: bool = False
    credit: int = 0
    waits_for_session: bool = False
    session_id: str | None = None
    until_ms: int = 0

    def capacity(self) -> int:
        return self.credit

    def deliver(self, message: Message) -> None:
        assert message.session_id == self.session_id, "only the holder of a session gets its messages"
        assert self.credit > 0, "a receiver never gets more than its credit"
        self.credit -= 1
        self.check(self, message)

    def on_session_granted(self, session_id: str, locked_until_ms: int) -> None:
        assert self.session_id is None
        assert locked_until_ms == self.clock.now_ms + LOCK_MS
        self.session_id, self.until_ms = session_id, locked_until_ms
        self.on_grant(self)

    def on_session_lost(self) -> None:
        assert self.session_id is not None
        assert self.until_ms <= self.clock.now_ms, "a session is lost only when its lock has ended"
        self.stand_free()

    def stand_free(self) -> None:
        self.session_id, self.credit, self.waits_for_session = None, 0, False
