"""The metrics: counts and durations of what this process does, and what waits, by the rows that the sweeper reads."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.metrics import Histogram, Meter, Observation

from core.backlog import BacklogNumbers
from core.lanes import Transport
from core.task_runs import RecordedTask, TaskOutcome
from core.telemetry import Timed
from telemetry.names import (
    DEAD_LETTER_REASON,
    ERROR_TYPE,
    MESSAGING_DESTINATION,
    MESSAGING_OPERATION_NAME,
    MESSAGING_SYSTEM,
    RELEASED,
    REPAIR_KIND,
    SYSTEMS,
    TASK_OUTCOME,
    TASK_TYPE,
    Attributes,
    name_of,
)

_SHORT = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]
_LONG = [0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600]


class Numbers:
    """The instruments of a meter."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, what: str, bounds: Sequence[float] = _SHORT) -> Histogram:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=bounds)

        self._tasks = meter.create_counter("lockstep.tasks", "{task}", "Runs of tasks, by outcome.")
        self._calls = seconds("lockstep.task.duration", "Calls of handlers.", _LONG)
        self._timed = {
            Timed.CLAIM: seconds(Timed.CLAIM, "Claims of the tasks of an invocation."),
            Timed.RECORD: seconds(Timed.RECORD, "Transactions that record the outcomes of an invocation."),
        }
        self._sends = seconds("messaging.client.operation.duration", "Sends of batches of messages.")
        self._sent = meter.create_counter("messaging.client.sent.messages", "{message}", "Messages sent.")
        self._consumed = meter.create_counter("messaging.client.consumed.messages", "{message}", "Messages received.")
        self._processed = seconds("messaging.process.duration", "Invocations.", _LONG)
        self._dead_letters = meter.create_counter(
            "lockstep.dead_letters", "{message}", "Messages kept as dead letters."
        )
        self._repairs = meter.create_counter("lockstep.repairs", "{row}", "Rows that a sweep has repaired.")
        self._waiting = Waiting(meter)

    @contextmanager
    def sent(self, queue_name: str, count: int, transport: Transport) -> Iterator[None]:
        """Counts the messages of a send and times it."""
        attributes: Attributes = {**_queue(queue_name, transport), MESSAGING_OPERATION_NAME: "send"}
        with _timing(self._sends, attributes):
            try:
                yield
            finally:
                self._sent.add(count, attributes)

    @contextmanager
    def processed(self, queue_name: str, transport: Transport) -> Iterator[None]:
        """Times an invocation."""
        with _timing(self._processed, {**_queue(queue_name, transport), MESSAGING_OPERATION_NAME: "process"}):
            yield

    @contextmanager
    def timed(self, what: Timed) -> Iterator[None]:
        """Times a block."""
        with _timing(self._timed[what], {}):
            yield

    def consumed(self, queue_name: str, count: int, transport: Transport) -> None:
        """Counts the messages of an invocation."""
        self._consumed.add(count, {**_queue(queue_name, transport), MESSAGING_OPERATION_NAME: "process"})

    def called(self, task_type: str, outcome: str, seconds: float) -> None:
        """Times a call of a handler."""
        self._calls.record(seconds, {TASK_TYPE: task_type, TASK_OUTCOME: outcome})

    def recorded(self, outcomes: Sequence[TaskOutcome], tasks: Sequence[RecordedTask]) -> None:
        """Counts recorded tasks."""
        continued = {each.task_id: each for each in outcomes if each.continuation is not None}
        for name, count in Counter(name_of(continued.get(task.task_id), task.status) for task in tasks).items():
            self._tasks.add(count, {TASK_OUTCOME: name})

    def released(self, count: int) -> None:
        """Counts released tasks."""
        self._tasks.add(count, {TASK_OUTCOME: RELEASED})

    def dead_letter(self, queue_name: str, reason: str) -> None:
        """Counts a dead letter."""
        self._dead_letters.add(1, {MESSAGING_DESTINATION: queue_name, DEAD_LETTER_REASON: reason[:100]})

    def repaired(self, counts: Mapping[str, int]) -> None:
        """Counts repaired rows."""
        for kind, count in counts.items():
            if count:
                self._repairs.add(count, {REPAIR_KIND: kind})

    def backlog(self, numbers: BacklogNumbers, queue_ages: Mapping[str, float]) -> None:
        """Sets what waits."""
        self._waiting.set(numbers, queue_ages)


class Waiting:
    """What waits. A value is sent once: the next sweep may run in another process, and this one must not repeat it."""

    def __init__(self, meter: Meter) -> None:
        self._observations: dict[str, list[Observation]] = {}

        def gauge(name: str, unit: str, what: str) -> None:
            meter.create_observable_gauge(name, [lambda _: self._observations.pop(name, [])], unit, what)

        gauge("lockstep.batches.pending", "{batch}", "Batches in the outbox.")
        gauge("lockstep.batches.queued", "{batch}", "Batches whose messages are sent and that have not ended.")
        gauge("lockstep.outbox.age", "s", "The age of the oldest batch in the outbox.")
        gauge("lockstep.queue.age", "s", "How long the oldest task of a queue has waited.")
        gauge("lockstep.dead_letters.kept", "{message}", "Dead letters that nobody has handled.")

    def set(self, numbers: BacklogNumbers, queue_ages: Mapping[str, float]) -> None:
        """Sets the values that are sent next."""
        ages = [Observation(seconds, {MESSAGING_DESTINATION: name}) for name, seconds in queue_ages.items()]
        self._observations = {
            "lockstep.batches.pending": [Observation(numbers.pending_batches)],
            "lockstep.batches.queued": [Observation(numbers.queued_batches)],
            "lockstep.outbox.age": [Observation(numbers.oldest_pending_seconds)],
            "lockstep.queue.age": ages,
            "lockstep.dead_letters.kept": [Observation(numbers.dead_letters)],
        }


@contextmanager
def _timing(histogram: Histogram, attributes: Attributes) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    except BaseException as exc:
        histogram.record(time.perf_counter() - began, {**attributes, ERROR_TYPE: type(exc).__name__})
        raise
    histogram.record(time.perf_counter() - began, attributes)


def _queue(queue_name: str, transport: Transport) -> dict[str, str | int]:
    return {MESSAGING_SYSTEM: SYSTEMS[transport], MESSAGING_DESTINATION: queue_name}
