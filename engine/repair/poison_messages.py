"""Handles the messages of storage queues that the Functions host has given up on, like dead letters.

A timer receives them, not a queue trigger: for a single message, the host lays the fields of a JSON body over the
message's own metadata, and a foreign body such as {"DequeueCount": "many"} would fail before any code here runs.
"""

import time
from collections import deque
from collections.abc import Callable

from core.lanes import QUEUES
from engine.repair.dead_letter_batches import DeadLetterBatches
from engine.repair.dead_letters import DeadLetteredMessage
from repositories.ports import PoisonMessage, PoisonQueues

POISON = "PoisonMessage"
"""The reason of such a dead letter; Storage Queues tell none."""

_DESCRIPTION = "the Functions host gave up on it after the deliveries that host.json allows (maxDequeueCount)"

_SECONDS = 40.0
"""How long one run works; the next one follows within a minute."""


class PoisonMessages:
    """Empties the poison queues.

    Args:
        queues: the poison queues.
        letters: handles dead letters.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self, queues: PoisonQueues, letters: DeadLetterBatches, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queues = queues
        self._letters = letters
        self._clock = clock
        self._turn = 0

    def handle(self, wait_out: Callable[[Callable[[], None]], None]) -> None:
        """Handles and deletes the messages of all poison queues, a few of each in turn.

        Each run begins with another queue, so that one whose messages cannot be handled does not keep the others.

        Args:
            wait_out: runs an action, and repeats it in an outage.

        Raises:
            LockstepError: infrastructure failed; the messages are received again some minutes later.
        """
        until = self._clock() + _SECONDS
        turns = deque(QUEUES)
        turns.rotate(-self._turn)
        self._turn += 1
        while turns and self._clock() < until:
            queue = turns.popleft()
            if taken := self._queues.take(queue):
                self._handle(queue, list(taken), wait_out)
                turns.append(queue)

    def _handle(self, queue: str, taken: list[PoisonMessage], wait_out: Callable[[Callable[[], None]], None]) -> None:
        left = [DeadLetteredMessage(each.raw, POISON, _DESCRIPTION) for each in taken]
        try:
            wait_out(lambda: self._letters.handle(queue, left))
        finally:
            # Deleted once they are handled, so that a failure of one costs the others no second handling.
            waiting = {id(dead.raw) for dead in left}
            for each in taken:
                if id(each.raw) not in waiting:
                    self._queues.delete(queue, each)
