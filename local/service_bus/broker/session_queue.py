from collections.abc import Iterable

from local.service_bus.broker.errors import NotAllowedError
from local.service_bus.broker.messages import DeadLetter, Message
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.receivers import Receiver
from local.service_bus.broker.sessions import Session, SessionReceiver, Sessions
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.broker.surroundings import Surroundings


class SessionQueue(Queue):
    """A queue, or subscription, whose messages are received session by session, each by one receiver at a time.

    A message is locked as long as its session is. When that lock expires, its locked messages come back and count as
    delivered; when the receiver closes, they come back uncounted (Service Bus, "Message sessions", delivery count).
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
        """Locks a session for `receiver`, who then may `wait`.

        Raises:
            SessionLockedError: another receiver holds it.
        """
        self._apply_due(self._clock())
        self._sessions.accept(session_id, receiver, self._clock())

    def accept_any(self, receiver: SessionReceiver) -> None:
        """Locks a session that has messages for `receiver`, as soon as one is free."""
        self._sessions.accept_any(receiver)
        self._serve(self._clock())

    def leave(self, receiver: SessionReceiver) -> None:
        """Gives back the session of `receiver`, and what it has locked, uncounted; or ends its waiting for one."""
        session = self._sessions.leave(receiver)
        if session is not None:
            self._unlock_all(session, counts=False)
        self._serve(self._clock())

    def wait(self, receiver: Receiver) -> None:
        """Delivers to `receiver` what its session holds, and later what comes, until its capacity is spent."""
        session = self._sessions.held_by(receiver)
        if session is not None:
            session.lane.waiting.join(receiver)
            self._serve(self._clock())

    def forget(self, receiver: Receiver) -> None:
        """Delivers nothing more to `receiver`; what it has locked stays locked."""
        session = self._sessions.held_by(receiver)
        if session is not None:
            session.lane.waiting.leave(receiver)

    def renew(self, _lock_tokens: Iterable[bytes]) -> list[int]:
        """Refuses: the lock of a session is renewed, not that of a message.

        Raises:
            NotAllowedError: always.
        """
        raise NotAllowedError("The lock of a message in a session cannot be renewed; renew the session's.")

    def renew_session(self, session_id: str) -> int:
        """Starts the lock duration of a session anew; returns its end in milliseconds since the epoch.

        Raises:
            SessionLockLostError: nobody holds the session.
        """
        session = self._locked(session_id)
        self._sessions.renew(session, self._clock())
        for message in self._locks.of_session(session_id):
            self._locks.extend(message, session.locked_until_ms)
        return session.locked_until_ms

    def session_state(self, session_id: str) -> bytes | None:
        """What was kept with a session, None for nothing.

        Raises:
            SessionLockLostError: nobody holds the session.
        """
        self._locked(session_id)
        return self._sessions.states.get(session_id)

    def set_session_state(self, session_id: str, state: bytes | None) -> None:
        """Keeps `state` with a session, None for nothing.

        Raises:
            SessionLockLostError: nobody holds the session.
        """
        self._locked(session_id)
        if state is None:
            self._sessions.states.pop(session_id, None)
        else:
            self._sessions.states[session_id] = state
        self._journal.put_session_state(self.name, session_id, state)

    def restore(self, message: Message) -> None:
        """As for any queue; what came while the queue had no sessions becomes a dead letter."""
        if message.session_id is None:
            self._journal.remove(self.name, message.sequence_number)
            self._adopt(message)
        else:
            super().restore(message)

    def restore_session(self, session_id: str, state: bytes) -> None:
        """Puts back the state that an earlier process noted in its journal."""
        self._sessions.states[session_id] = state

    def session_ids(self) -> list[str]:
        """The sessions that have messages or state."""
        return self._sessions.ids()

    def clear(self) -> None:
        """Forgets all messages and states; the locks of messages are lost, those of sessions are not."""
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
            self.dead_letters._adopt(message, DeadLetter("Session ID is null", text))  # noqa: SLF001 - another Queue
        else:
            super()._adopt(message, why)

    def _serve_lanes(self, budget: int) -> int:
        self._sessions.grant_waiting(self._clock())
        delivered = 0
        for session in self._sessions.held():
            if number := session.lane.serve(self._deliver, budget - delivered):
                # Short of credits, the next time is another session's.
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
            self._put_back(message, counts=counts)
