import os
from collections.abc import Iterator

from local.service_bus.broker.agenda import Agenda
from local.service_bus.broker.errors import LockLostError
from local.service_bus.broker.messages import Message

_TOKEN_BYTES = 16


class Locks:
    """The locked messages of a queue by lock token, and the ends of their locks in milliseconds since the epoch."""

    def __init__(self) -> None:
        self._by_token: dict[bytes, Message] = {}
        self._ends: Agenda[bytes] = Agenda()

    def __len__(self) -> int:
        return len(self._by_token)

    def messages(self) -> list[Message]:
        """A copy of the locked messages."""
        return list(self._by_token.values())

    def of_session(self, session_id: str) -> Iterator[Message]:
        """The locked messages of a session; the caller may change locks while it iterates."""
        return (message for message in self.messages() if message.session_id == session_id)

    def lock(self, message: Message, until_ms: int) -> None:
        """Locks `message` under a new token."""
        message.lock_token = os.urandom(_TOKEN_BYTES)
        self._by_token[message.lock_token] = message
        self._end_at(message.lock_token, message, until_ms)

    def extend(self, message: Message, until_ms: int) -> None:
        """Sets a new end for the lock of a message."""
        assert message.lock_token
        self._end_at(message.lock_token, message, until_ms)

    def unlock(self, message: Message) -> None:
        """Ends the lock of a message; its token is invalid from now on."""
        assert message.lock_token
        del self._by_token[message.lock_token]
        message.lock_token = None

    def find(self, token: bytes, now_ms: int) -> Message:
        """The message locked by `token`.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        message = self._by_token.get(token)
        if message is None or message.locked_until_ms <= now_ms:
            raise LockLostError(
                "The lock supplied is invalid. Either the lock expired, or the message has been settled."
            )
        return message

    def ended(self, now_ms: int) -> Iterator[Message]:
        """Yields the messages whose lock has expired; the caller must unlock each of them."""
        for token in self._ends.pop_due(now_ms):
            message = self._by_token.get(token)
            if message and message.locked_until_ms <= now_ms:
                yield message

    def tidy(self) -> None:
        """Drops stale entries, so that memory stays proportional to the number of locks."""
        self._ends.compact(len(self._by_token), self._is_end)

    def _end_at(self, token: bytes, message: Message, until_ms: int) -> None:
        message.locked_until_ms = until_ms
        self._ends.add(until_ms, token)

    def _is_end(self, due_ms: int, token: bytes) -> bool:
        message = self._by_token.get(token)
        return message is not None and message.locked_until_ms == due_ms
