from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from local.service_bus.broker.errors import SessionLockedError, SessionLockLostError
from local.service_bus.broker.lane import Lane
from local.service_bus.broker.receivers import Receiver


class SessionReceiver(Receiver, Protocol):
    """A receiver of one session."""

    def on_session_granted(self, session_id: str, locked_until_ms: int) -> None:
        """It holds the session from now on."""

    def on_session_lost(self) -> None:
        """Its lock has ended, and it gets nothing more."""


@dataclass(slots=True, eq=False)
class Session:
    """One session; `holder` has it locked until `locked_until_ms`, None for nobody."""

    session_id: str
    lane: Lane
    state: bytes | None = None
    holder: SessionReceiver | None = None
    locked_until_ms: int = 0


class Sessions:
    """The sessions of one queue: who holds which, who waits for any, and their state."""

    def __init__(self, new_lane: Callable[[], Lane], lock_duration_ms: int) -> None:
        self._new_lane = new_lane
        self._lock_duration_ms = lock_duration_ms
        self._sessions: dict[str, Session] = {}
        self._held: dict[Receiver, Session] = {}
        self._waiting: dict[SessionReceiver, None] = {}

    def get(self, session_id: str) -> Session:
        """The session of this id, which comes into being with the first thing asked of it."""
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = Session(session_id, self._new_lane())
        return session

    def held_by(self, receiver: Receiver) -> Session | None:
        """The session that `receiver` has locked."""
        return self._held.get(receiver)

    def locked(self, session_id: str) -> Session:
        """The session of this id, if somebody holds it.

        Raises:
            SessionLockLostError: nobody does.
        """
        session = self._sessions.get(session_id)
        if session is None or session.holder is None:
            raise SessionLockLostError(f"The lock of the session '{session_id}' has expired or was never taken.")
        return session

    def accept(self, session_id: str, receiver: SessionReceiver, now_ms: int) -> None:
        """Locks a session for `receiver`.

        Raises:
            SessionLockedError: another receiver holds it.
        """
        session = self.get(session_id)
        if session.holder is not None:
            raise SessionLockedError(f"The session '{session_id}' is locked by another receiver.")
        self._grant(session, receiver, now_ms)

    def accept_any(self, receiver: SessionReceiver) -> None:
        """Has `receiver` wait for a session that has messages and no holder."""
        self._waiting[receiver] = None

    def grant_waiting(self, now_ms: int) -> None:
        """Gives free sessions with messages to those who wait for any, in the order of their waiting."""
        if not self._waiting:
            return
        free = [session for session in self._sessions.values() if session.holder is None]
        for session in free:
            if not self._waiting:
                return
            if session.lane.has_messages():
                receiver = next(iter(self._waiting))
                del self._waiting[receiver]
                self._grant(session, receiver, now_ms)

    def leave(self, receiver: SessionReceiver) -> Session | None:
        """Ends the waiting, or the lock, of `receiver`; returns the session that it held."""
        self._waiting.pop(receiver, None)
        session = self._held.pop(receiver, None)
        if session is not None:
            session.holder = None
            session.lane.waiting.leave(receiver)
        return session

    def renew(self, session: Session, now_ms: int) -> None:
        """Starts the lock duration of a session anew."""
        session.locked_until_ms = now_ms + self._lock_duration_ms

    def ended(self, now_ms: int) -> list[SessionReceiver]:
        """The receivers whose lock has ended by now; each is still to `leave`."""
        sessions = [session for session in self._held.values() if session.locked_until_ms <= now_ms]
        return [session.holder for session in sessions if session.holder is not None]

    def held(self) -> list[Session]:
        """The sessions that somebody holds."""
        return list(self._held.values())

    def ids(self) -> Iterator[str]:
        """The ids of the sessions that have receivable messages, or state."""
        return (s.session_id for s in self._sessions.values() if s.state is not None or s.lane.has_messages())

    def tidy(self) -> None:
        """Forgets sessions that hold nothing, so that memory follows the number of messages."""
        idle = [
            session_id
            for session_id, session in self._sessions.items()
            if session.holder is None and session.state is None and not session.lane.has_messages()
        ]
        for session_id in idle:
            del self._sessions[session_id]
        for session in self._sessions.values():
            session.lane.tidy()

    def _grant(self, session: Session, receiver: SessionReceiver, now_ms: int) -> None:
        session.holder = receiver
        self._held[receiver] = session
        self.renew(session, now_ms)
        receiver.on_session_granted(session.session_id, session.locked_until_ms)
