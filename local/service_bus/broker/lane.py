"""Matches receivable messages with waiting receivers."""

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush

from local.service_bus.broker.agenda import SLACK
from local.service_bus.broker.messages import Message
from local.service_bus.broker.receivers import Receiver, WaitingLine


class Lane:
    """The receivable messages by sequence number, and the receivers that wait for them.

    A queue has one lane; a queue with sessions has one lane per session. `messages` are those of the whole queue: the
    lane skips a sequence number whose message has been removed.
    """

    def __init__(self, messages: Mapping[int, Message]) -> None:
        self._messages = messages
        self._numbers: list[int] = []
        self.waiting = WaitingLine()

    def add(self, sequence_number: int) -> None:
        """Makes the message with this sequence number receivable."""
        heappush(self._numbers, sequence_number)

    def has_messages(self) -> bool:
        """Whether any message is receivable."""
        while self._numbers and self._numbers[0] not in self._messages:
            heappop(self._numbers)
        return bool(self._numbers)

    def serve(self, deliver: Callable[[Receiver, Message], None], budget: int) -> int:
        """Calls `deliver` until messages, receivers or the budget run out; returns the number of deliveries."""
        delivered = 0
        while delivered < budget and self.has_messages() and (turn := self.waiting.first()):
            receiver, capacity = turn
            end = min(budget, delivered + capacity)
            while delivered < end and self.has_messages():
                deliver(receiver, self._messages[heappop(self._numbers)])
                delivered += 1
            self.waiting.step_back(receiver)
        return delivered

    def tidy(self) -> None:
        """Drops the numbers of removed messages when they outnumber the others."""
        if len(self._numbers) > 2 * len(self._messages) + SLACK:
            self._numbers = [number for number in self._numbers if number in self._messages]
            heapify(self._numbers)
