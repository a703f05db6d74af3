from collections.abc import Iterable

from local.service_bus.broker.errors import NotAllowedError
from local.service_bus.broker.messages import DeadLetter, Message
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.receivers import Receiver
from local.service_bus.broker.sessions import Session, SessionReceiver, Sessions
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.broker.surroundings import Surroundings


class SessionQueue(Queue):
    """A queue or subscription with sessions: one receiver at a time receives the messages of a session.

    A message stays locked as long as its session. When the session's lock expires, its locked messages are receivable
    again and the deliveries are counted; when the receiver closes, they are receivable again and not counted (Service
    Bus, "Message sessions", delivery count).
    """

    def __init__(
        self,
        name: str,
        settings: QueueSettings,
        surroundings: Surroundings,
        dead_letters: Queue | None = None,
        subscriptions: dict[str, Queue] | None = None,
        closed_because: str | None = None,
    ) -> None:
        super().__init__(name, settings, surroundings, dead_letters, subscriptions, closed_because)
        assert self._storage.sessions is not None
        self._sessions: Sessions = self._storage.sessions
        self._journal = surroundings.journal

    def accept(self, session_id: str, receiver: SessionReceiver) -> None:
        """Locks a session for `receiver`, which may then `wait` for its messages.

        Raises:
            SessionLockedError: another receiver holds the session.
        """
        self._apply_due(self._clock())
        self._sessions.accept(session_id, receiver, self._clock())

    def accept_any(self, receiver: SessionReceiver) -> None:
        """Locks a session for `receiver` as soon as one is free and has messages."""
        self._sessions.accept_any(receiver)
        self._serve(self._clock())

    def leave(self, receiver: SessionReceiver) -> None:
        """Releases the session of `receiver` and its messages, without counting deliveries; or stops its waiting."""
        session = self._sessions.leave(receiver)
        if session is not None:
            self._unlock_all(session, counts=False)
        self._serve(self._clock())

    def wait(self, receiver: Receiver) -> None:
        """Delivers present and later messages of its session to `receiver`, until its capacity is used up."""
        session = self._sessions.held_by(receiver)
        if session is not None:
            session.lane.waiting.join(receiver)
            self._serve(self._clock())

    def forget(self, receiver: Receiver) -> None:
        """Stops deliveries to `receiver`; messages that it has locked stay locked."""
        session = self._sessions.held_by(receiver)
        if session is not None:
            session.lane.waiting.leave(receiver)

    def renew(self, _lock_tokens: Iterable[bytes]) -> list[int]:
        """Refuses the renewal: messages of a session are renewed with the session's lock.

        Raises:
            NotAllowedError: always.
        """
        raise NotAllowedError("The lock of a message in a session cannot be renewed; renew the session's.")

    def renew_session(self, session_id: str) -> int:
        """Renews the lock of a session and returns its new end in milliseconds since the epoch.

        Raises:
            SessionLockLostError: no receiver holds the session.
        """
        session = self._locked(session_id)
        self._sessions.renew(session, self._clock())
        for message in self._locks.of_session(session_id):
            self._locks.extend(message, session.locked_until_ms)
        return session.locked_until_ms

    def session_state(self, session_id: str) -> bytes | None:
        """The stored state of a session, None if it has none.

        Raises:
            SessionLockLostError: no receiver holds the session.
        """
        self._locked(session_id)
        return self._sessions.states.get(session_id)

    def set_session_state(self, session_id: str, state: bytes | None) -> None:
        """Stores the state of a session; None removes it.

        Raises:
            SessionLockLostError: no receiver holds the session.
        """
        self._locked(session_id)
        if state is None:
            self._sessions.states.pop(session_id, None)
        else:
            self._sessions.states[session_id] = state
        self._journal.put_session_state(self.name, session_id, state)

    def restore(self, message: Message) -> None:
        """Adds a message from the journal; a message without a session id is dead-lettered."""
        if message.session_id is None:
            self._journal.remove(self.name, message.sequence_number)
            self._adopt(message)
        else:
            super().restore(message)

    def restore_session(self, session_id: str, state: bytes) -> None:
        """Sets a session's state from the journal of an earlier process."""
        self._sessions.states[session_id] = state

    def session_ids(self) -> list[str]:
        """The ids of the sessions that have receivable messages or state."""
        return self._sessions.ids()

    def clear(self) -> None:
        """Deletes all messages, their locks and all session states; session locks are kept."""
        super().clear()
        for session_id in self._sessions.states:
            self._journal.put_session_state(self.name, session_id, None)
        self._sessions.states.clear()

    def _locked(self, session_id: str) -> Session:
        self._apply_due(self._clock())
        return self._sessions.locked(session_id)

    def _adopt(self, message: Message, why: DeadLetter | None = None) -> None:
        if message.session_id is None:
            assert self.dead_letters is not None
            text = "Session enabled entity doesn't allow a message whose session identifier is null."
            self.dead_letters._adopt(message, DeadLetter("Session ID is null", text))  # noqa: SLF001 - also a Queue
        else:
            super()._adopt(message, why)

    def _serve_lanes(self, budget: int) -> int:
        self._sessions.grant_waiting(self._clock())
        delivered = 0
        for session in self._sessions.held():
            if number := session.lane.serve(self._deliver, budget - delivered):
                # When credits are short, another session is first the next time.
                self._sessions.step_back(session)
                delivered += number
        return delivered

    def _lock_end(self, message: Message, _now_ms: int) -> int:
        assert message.session_id is not None
        return self._sessions.locked(message.session_id).locked_until_ms

    def _apply_due(self, now_ms: int) -> None:
        for receiver in self._sessions.ended(now_ms):
            session = self._sessions.leave(receiver)
            assert session is not None
            self._unlock_all(session, counts=True)
            receiver.on_session_lost()
        super()._apply_due(now_ms)

    def _unlock_all(self, session: Session, *, counts: bool) -> None:
        for message in self._locks.of_session(session.session_id):
            self._locks.unlock(message)
            self._return(message, counts=counts)
