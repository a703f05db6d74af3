import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import timedelta

from typing_extensions import override

from core.errors import MessageTooLargeError, QueueError, QueueNotFoundError, QueueUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from core.message_traces import traceparents
from core.messages import OutgoingMessage
from core.telemetry import telemetry
from repositories.ports import MessageQueue, SendResult
from tests.fakes.clock import FakeClock

_QUEUES = (JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE, URGENT_TASKS_QUEUE, LONG_TASKS_QUEUE, "job-events")
_MAX_BATCH_BYTES = 256 * 1024
"""The Standard tier; "Service Bus quotas", learn.microsoft.com."""


class FakeQueue(MessageQueue):
    """The port `MessageQueue` in memory; any number of threads may use it.

    Attributes:
        failures: what the next sends and pings fail with, first come, first served.
        traceparents: the trace contexts that messages carry, by message id.

    Args:
        clock: what scheduled messages go by.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.failures: deque[QueueError] = deque()
        self.traceparents: dict[str, str] = {}
        self._back_at = self.clock.now()
        self._lock = threading.Lock()
        self._messages: dict[str, list[OutgoingMessage]] = defaultdict(list)

    def go_away(self, seconds: float) -> None:
        """Refuses every send for so long by the clock."""
        self._back_at = self.clock.now() + timedelta(seconds=seconds)

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if not messages:
            return SendResult(success=True, sent=0)
        with telemetry().sending(queue, len(messages)) as traceparent, self._lock:
            for message, context in zip(messages, traceparents(messages, traceparent), strict=True):
                if context is not None:
                    self.traceparents[message.message_id] = context
            error = self._refusal(queue, messages)
            if error is not None:
                return SendResult(success=False, sent=0, error=error)
            self._messages[queue].extend(messages)
        return SendResult(success=True, sent=len(messages))

    @override
    def ping(self) -> list[str]:
        """Raises the next of `failures`, if there is one."""
        with self._lock:
            if self.failures:
                raise self.failures.popleft()
        return [name for name in (URGENT_TASKS_QUEUE, BATCHES_QUEUE) if name not in _QUEUES]

    def receive(self, queue: str) -> list[OutgoingMessage]:
        """Takes the messages that are visible now, in the order of sending."""
        now = self.clock.now()
        with self._lock:
            held = self._messages[queue]
            self._messages[queue] = [message for message in held if message.enqueue_at and message.enqueue_at > now]
            return [message for message in held if message.enqueue_at is None or message.enqueue_at <= now]

    def size(self, queue: str) -> int:
        """How many messages a queue holds, visible or not."""
        with self._lock:
            return len(self._messages[queue])

    def scheduled(self, queue: str) -> list[OutgoingMessage]:
        """The messages that are not visible yet, the next one first."""
        now = self.clock.now()
        with self._lock:
            waiting = [(message.enqueue_at, message) for message in self._messages[queue] if message.enqueue_at]
        return [message for due, message in sorted(waiting, key=lambda pair: pair[0]) if due > now]

    def _refusal(self, queue: str, messages: Sequence[OutgoingMessage]) -> QueueError | None:
        if self.clock.now() < self._back_at:
            return QueueUnavailableError("away")
        if self.failures:
            return self.failures.popleft()
        if queue not in _QUEUES:
            return QueueNotFoundError(f"Service Bus has no queue {queue!r}")
        if sum(len(message.body) for message in messages) > _MAX_BATCH_BYTES:
            return MessageTooLargeError(f"the batch for {queue} is over the size limit of the tier")
        return None
