from typing import Protocol

from local.service_bus.broker.messages import Message


class Receiver(Protocol):
    """Receives the deliveries of a queue; messages are locked for it, or deleted on delivery if `deletes` is set."""

    deletes: bool

    def capacity(self) -> int:
        """How many messages it accepts now."""

    def deliver(self, message: Message) -> None:
        """Accepts one message; called only while `capacity()` is positive."""


class WaitingLine:
    """The receivers that wait for messages, in order of waiting time."""

    def __init__(self) -> None:
        self._receivers: dict[Receiver, None] = {}

    def join(self, receiver: Receiver) -> None:
        """Appends `receiver`; a receiver that already waits keeps its place."""
        self._receivers.setdefault(receiver)

    def leave(self, receiver: Receiver) -> None:
        """Removes `receiver`, if it waits."""
        self._receivers.pop(receiver, None)

    def first(self) -> tuple[Receiver, int] | None:
        """The first receiver with capacity, and its capacity; removes receivers without capacity."""
        while self._receivers:
            receiver = next(iter(self._receivers))
            capacity = receiver.capacity()
            if capacity > 0:
                return receiver, capacity
            self.leave(receiver)
        return None

    def step_back(self, receiver: Receiver) -> None:
        """Moves a receiver that has been served to the end."""
        self.leave(receiver)
        self.join(receiver)
