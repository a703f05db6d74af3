"""The broker's side of a message between its send and its end: locks, delivery counts, dead letters."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from core.messages import OutgoingMessage
from tests.fakes.queue import FakeQueue

DEAD = "/$deadletterqueue"
MAX_DELIVERIES = 10
LOCK_SECONDS = 60


@dataclass(eq=False)
class Copy:
    """A message in the broker; `deliveries` counts how often it was delivered."""

    message: OutgoingMessage
    deliveries: int = 0


@dataclass(eq=False)
class Hand:
    """Messages that were delivered to one invocation, which has locked them until a time."""

    queue: str
    copies: list[Copy]
    locked_until: datetime


class Broker:
    """Delivers, at least once.

    Attributes:
        given_up: how many messages went to dead-letter queues, by queue.

    Args:
        queue: where messages are sent to.
    """

    def __init__(self, queue: FakeQueue) -> None:
        self.given_up: Counter[str] = Counter()
        self._queue = queue
        self._ready: dict[str, list[Copy]] = defaultdict(list)
        self._hands: list[Hand] = []

    def ready(self, queue: str) -> list[Copy]:
        """The messages that can be delivered now."""
        ready = self._ready[queue]
        ready.extend(Copy(message) for message in self._queue.receive(queue))
        return ready

    def take(self, queue: str, most: int, seed: int = 0) -> Hand:
        """Delivers up to that many messages: the first ones with seed 0, else any in any order."""
        ready = self.ready(queue)
        if seed:
            Random(seed).shuffle(ready)
        hand = Hand(queue, ready[:most], self._queue.clock.now() + timedelta(seconds=LOCK_SECONDS))
        del ready[:most]
        for copy in hand.copies:
            copy.deliveries += 1
        self._hands.append(hand)
        return hand

    def complete(self, hand: Hand) -> None:
        """Ends messages, unless their lock is over."""
        if hand in self._hands:
            self._hands.remove(hand)

    def abandon(self, hand: Hand) -> None:
        """Makes messages available again, unless their lock is over."""
        if hand not in self._hands:
            return
        self._hands.remove(hand)
        for copy in hand.copies:
            if copy.deliveries >= MAX_DELIVERIES and not hand.queue.endswith(DEAD):
                self._ready[hand.queue + DEAD].append(Copy(copy.message))
                self.given_up[hand.queue] += 1
            else:
                self._ready[hand.queue].append(copy)

    def expire(self) -> None:
        """Makes messages available again whose locks are over."""
        for hand in list(self._hands):
            if hand.locked_until <= self._queue.clock.now():
                self.abandon(hand)

    def next_expiry(self) -> datetime | None:
        """When the next lock ends."""
        return min((hand.locked_until for hand in self._hands), default=None)

    def duplicate(self, queue: str, seed: int, copies: int) -> None:
        """Lets one message be delivered that many times more."""
        ready = self.ready(queue)
        message = ready[seed % len(ready)].message
        ready.extend(Copy(message) for _ in range(copies))

    def lose(self, queue: str, seed: int) -> None:
        """Loses about half of the messages that can be delivered now."""
        ready, random = self.ready(queue), Random(seed)
        ready[:] = [copy for copy in ready if random.random() < 1 / 2]
