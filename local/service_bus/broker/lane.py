from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush

from local.service_bus.broker.agenda import SLACK
from local.service_bus.broker.messages import Message
from local.service_bus.broker.receivers import Receiver, WaitingLine


class Lane:
    """The messages that can be received, in order of sequence number, and the receivers that wait for them.

    A queue has one, a queue with sessions one for each session. `messages` are those of the whole queue: a number in
    the lane whose message has gone since is passed over.
    """

    def __init__(self, messages: Mapping[int, Message]) -> None:
        self._messages = messages
        self._numbers: list[int] = []
        self.waiting = WaitingLine()

    def add(self, sequence_number: int) -> None:
        """Puts the message of this number in its place."""
        heappush(self._numbers, sequence_number)

    def has_messages(self) -> bool:
        """Whether there is anything to receive."""
        while self._numbers and self._numbers[0] not in self._messages:
            heappop(self._numbers)
        return bool(self._numbers)

    def serve(self, deliver: Callable[[Receiver, Message], None], budget: int) -> int:
        """Calls `deliver` until messages, receivers or the budget run out; returns how many messages it delivered."""
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
        """Lets go of numbers whose message has gone, once they outnumber the others."""
        if len(self._numbers) > 2 * len(self._messages) + SLACK:
            self._numbers = [number for number in self._numbers if number in self._messages]
            heapify(self._numbers)
