from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from local.service_bus.broker.agenda import SLACK
from local.service_bus.broker.errors import SessionLockedError, SessionLockLostError
from local.service_bus.broker.lane import Lane
from local.service_bus.broker.receivers import Receiver


class SessionReceiver(Receiver, Protocol):
    """A receiver of one session."""

    def on_session_granted(self, session_id: str, locked_until_ms: int) -> None:
        """Called when the receiver has locked a session."""

    def on_session_lost(self) -> None:
        """Called when the session's lock has ended; no message is delivered after that."""


@dataclass(slots=True, eq=False)
class Session:
    """One session; `holder` is the receiver that has locked it until `locked_until_ms`, None if it is free."""

    session_id: str
    lane: Lane
    holder: SessionReceiver | None = None
    locked_until_ms: int = 0


class Sessions:
    """The sessions of one queue: their holders, their states, and the receivers that wait for any session.

    Attributes:
        states: the stored states by session id.
    """

    def __init__(self, new_lane: Callable[[], Lane], lock_duration_ms: int) -> None:
        self._new_lane = new_lane
        self._lock_duration_ms = lock_duration_ms
        self._sessions: dict[str, Session] = {}
        self._held: dict[Receiver, Session] = {}
        self._waiting: dict[SessionReceiver, None] = {}
        # Sessions without a holder that may have messages, in the order in which they are granted.
        self._free: OrderedDict[str, Session] = OrderedDict()
        self.states: dict[str, bytes] = {}

    def add(self, session_id: str, sequence_number: int) -> None:
        """Makes a message of this session receivable."""
        session = self._get(session_id)
        session.lane.tidy()
        session.lane.add(sequence_number)
        if session.holder is None:
            self._free.setdefault(session_id, session)

    def _get(self, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = Session(session_id, self._new_lane())
        return session

    def held_by(self, receiver: Receiver) -> Session | None:
        """The session that `receiver` has locked, if any."""
        return self._held.get(receiver)

    def locked(self, session_id: str) -> Session:
        """The session with this id, which must be locked.

        Raises:
            SessionLockLostError: no receiver holds the session.
        """
        session = self._sessions.get(session_id)
        if session is None or session.holder is None:
            raise SessionLockLostError(f"The lock of the session '{session_id}' has expired or was never taken.")
        return session

    def accept(self, session_id: str, receiver: SessionReceiver, now_ms: int) -> None:
        """Locks a session for `receiver`.

        Raises:
            SessionLockedError: another receiver holds the session.
        """
        session = self._get(session_id)
        if session.holder is not None:
            raise SessionLockedError(f"The session '{session_id}' is locked by another receiver.")
        self._grant(session, receiver, now_ms)

    def accept_any(self, receiver: SessionReceiver) -> None:
        """Adds `receiver` to those that wait for any free session with messages."""
        self._waiting[receiver] = None

    def grant_waiting(self, now_ms: int) -> None:
        """Grants free sessions with messages to the waiting receivers, both in order of waiting time."""
        while self._waiting and self._free:
            session = next(iter(self._free.values()))
            if session.lane.has_messages():
                receiver = next(iter(self._waiting))
                del self._waiting[receiver]
                self._grant(session, receiver, now_ms)
            else:
                del self._free[session.session_id]

    def leave(self, receiver: SessionReceiver) -> Session | None:
        """Stops the waiting or ends the lock of `receiver`; returns the session that it held, if any."""
        self._waiting.pop(receiver, None)
        session = self._held.pop(receiver, None)
        if session is not None:
            session.holder = None
            session.lane.waiting.leave(receiver)
            self._free[session.session_id] = session
        return session

    def renew(self, session: Session, now_ms: int) -> None:
        """Renews the lock of a session."""
        session.locked_until_ms = now_ms + self._lock_duration_ms

    def ended(self, now_ms: int) -> list[SessionReceiver]:
        """The receivers whose lock has expired; the caller must call `leave` for each of them."""
        sessions = [session for session in self._held.values() if session.locked_until_ms <= now_ms]
        return [session.holder for session in sessions if session.holder is not None]

    def held(self) -> list[Session]:
        """The locked sessions, in the order in which they are served."""
        return list(self._held.values())

    def step_back(self, session: Session) -> None:
        """Moves a locked session that has been served to the end of `held`."""
        assert session.holder is not None
        self._held[session.holder] = self._held.pop(session.holder)

    def ids(self) -> list[str]:
        """The ids of the sessions that have receivable messages or state."""
        receivable = [session.session_id for session in self._sessions.values() if session.lane.has_messages()]
        return list(dict.fromkeys([*self.states, *receivable]))

    def tidy(self, messages: int) -> None:
        """Removes idle sessions when they outnumber the queue's `messages` and the locked sessions."""
        if len(self._sessions) <= 2 * (messages + len(self._held)) + SLACK:
            return
        for session in list(self._sessions.values()):
            if session.holder is None and not session.lane.has_messages():
                del self._sessions[session.session_id]
                self._free.pop(session.session_id, None)

    def _grant(self, session: Session, receiver: SessionReceiver, now_ms: int) -> None:
        self._free.pop(session.session_id, None)
        session.holder = receiver
        self._held[receiver] = session
        self.renew(session, now_ms)
        receiver.on_session_granted(session.session_id, session.locked_until_ms)
