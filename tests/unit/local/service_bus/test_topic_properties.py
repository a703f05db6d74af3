"""Random operations on a topic: each subscription gets every message that was sent while it existed, once."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.support import LOCK_MS, Clock, MemoryJournal, name_of, submission, take

TOPIC = "t"
NAMES = ["one", "two", "three"]


@dataclass
class Expected:
    """The messages that a subscription should hold, and those that it has delivered and removed."""

    queue: Queue
    names: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)


class TopicMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.namespace = Namespace(self.clock, journal=self.journal)
        self.topic = self.namespace.create_topic(TOPIC, QueueSettings())
        self.subscriptions: dict[str, Expected] = {}
        self.scheduled: list[tuple[int, int, str]] = []
        self.sent = 0

    @rule(name=st.sampled_from(NAMES))
    def create(self, name: str) -> None:
        if name not in self.subscriptions:
            settings = QueueSettings(lock_duration_ms=LOCK_MS, max_delivery_count=None)
            self.subscriptions[name] = Expected(self.namespace.create_subscription(TOPIC, name, settings))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        if self.subscriptions.pop(name, None):
            self.namespace.delete(f"{TOPIC}/subscriptions/{name}")

    @rule(number=st.integers(1, 3), delay_ms=st.sampled_from([None, 500, 1_000]))
    def send(self, number: int, delay_ms: int | None) -> None:
        names = [f"m{self.sent + offset}" for offset in range(number)]
        self.sent += number
        due_ms = None if delay_ms is None else self.clock.now_ms + delay_ms
        numbers = self.topic.enqueue([submission(name, scheduled_for_ms=due_ms) for name in names])
        if due_ms is None:
            self.published(names)
        else:
            self.scheduled += [(due_ms, number, name) for number, name in zip(numbers, names, strict=True)]

    def published(self, names: list[str]) -> None:
        for expected in self.subscriptions.values():
            expected.names += names

    @rule()
    def cancel(self) -> None:
        if self.scheduled:
            _, number, _ = self.scheduled.pop()
            self.topic.cancel_scheduled([number])

    @rule(milliseconds=st.sampled_from([1, 500, 1_000]))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.now_ms += milliseconds
        due = sorted(entry for entry in self.scheduled if entry[0] <= self.clock.now_ms)
        self.published([name for *_, name in due])
        self.scheduled = [entry for entry in self.scheduled if entry not in due]
        self.namespace.tick()

    @rule(name=st.sampled_from(NAMES), number=st.integers(1, 3), completes=st.booleans())
    def receive(self, name: str, number: int, *, completes: bool) -> None:
        if name in self.subscriptions:
            expected = self.subscriptions[name]
            for message, token in take(expected.queue, number).taken:
                assert name_of(message) not in expected.gone
                if completes:
                    expected.queue.complete(token)
                    expected.names.remove(name_of(message))
                    expected.gone.add(name_of(message))

    @invariant()
    def each_subscription_holds_its_own(self) -> None:
        for expected in self.subscriptions.values():
            held = expected.queue.peek(0, 1_000)
            assert [name_of(message) for message in held] == expected.names
            assert self.journal.messages[expected.queue.name].keys() == {m.sequence_number for m in held}

    @invariant()
    def the_topic_holds_what_is_scheduled(self) -> None:
        held = self.topic.peek(0, 1_000)
        assert [(m.scheduled_for_ms, m.sequence_number, name_of(m)) for m in held] == self.scheduled

    @invariant()
    def the_sizes_add_up(self) -> None:
        held = [*self.topic.peek(0, 1_000), *(m for e in self.subscriptions.values() for m in e.queue.peek(0, 1_000))]
        assert self.topic.size_bytes() == sum(message.content.size_bytes for message in held)


TestTopicMachine = TopicMachine.TestCase
TestTopicMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
