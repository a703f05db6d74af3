from typing import Protocol

from local.service_bus.broker.messages import Message


class Receiver(Protocol):
    """Where a queue delivers to; messages are locked for it, or deleted as they leave when `deletes` is set."""

    deletes: bool

    def capacity(self) -> int:
        """How many messages it takes now."""

    def deliver(self, message: Message) -> None:
        """Takes one message; called only while `capacity()` is positive."""


class WaitingLine:
    """Receivers that wait for messages, longest waiting first."""

    def __init__(self) -> None:
        self._receivers: dict[Receiver, None] = {}

    def join(self, receiver: Receiver) -> None:
        """Appends `receiver`; one that already waits keeps its place."""
        self._receivers.setdefault(receiver)

    def leave(self, receiver: Receiver) -> None:
        """Removes `receiver`, waiting or not."""
        self._receivers.pop(receiver, None)

    def first(self) -> tuple[Receiver, int] | None:
        """The receiver whose turn it is, with its capacity; those without any leave the line."""
        while self._receivers:
            receiver = next(iter(self._receivers))
            capacity = receiver.capacity()
            if capacity > 0:
                return receiver, capacity
            self.leave(receiver)
        return None

    def step_back(self, receiver: Receiver) -> None:
        """Moves `receiver`, just served, to the end."""
        self.leave(receiver)
        self.join(receiver)
