"""Random operations on a queue: every message is where a simple model expects it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.errors import LockLostError, MessageNotFoundError, QueueFullError
from local.service_bus.broker.messages import Message
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.checked import CheckedTaker
from tests.unit.local.service_bus.model import Expected, Place, QueueModel, size_of
from tests.unit.local.service_bus.support import (
    LOCK_MS,
    Clock,
    MemoryJournal,
    dead_letters,
    name_of,
    settlements,
    submission,
    take,
)

MAX_DELIVERIES = 3
TTL_MS = 5_000
WINDOW_MS = 1_500
MAX_SIZE_BYTES = 120
HOW = ["complete", "abandon", "release", "defer", "dead_letter"]
SETTINGS = QueueSettings(
    LOCK_MS,
    MAX_DELIVERIES,
    default_ttl_ms=TTL_MS,
    dead_letters_expired=True,
    duplicate_window_ms=WINDOW_MS,
    max_size_bytes=MAX_SIZE_BYTES,
)


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.queue = Namespace(self.clock, journal=self.journal).create_queue("q", SETTINGS)
        self.model = QueueModel(self.clock, MAX_DELIVERIES, WINDOW_MS)
        self.takers = [CheckedTaker(deletes, self.on_delivery) for deletes in (False, False, True)]
        self.tokens: list[tuple[str, bytes]] = []
        self.sent = 0

    @rule(
        number=st.integers(1, 3),
        delay_ms=st.sampled_from([None, None, 0, 500, 2_000]),
        ttl=st.sampled_from([None, 700, 90_000]),
        message_id=st.sampled_from([None, None, "x", "y"]),
    )
    def send(self, number: int, delay_ms: int | None, ttl: int | None, message_id: str | None) -> None:
        names = [f"m{self.sent + offset}" for offset in range(number)]
        due_ms = None if delay_ms is None else self.clock.now_ms + delay_ms
        batch = [submission(name, message_id, ttl, due_ms) for name in names]
        if self.model.size_bytes() + sum(map(size_of, names)) > MAX_SIZE_BYTES:
            with pytest.raises(QueueFullError):
                self.queue.enqueue(batch)
            return
        self.sent += number
        numbers = [self.model.send(name, message_id, min(ttl or TTL_MS, TTL_MS), due_ms) for name in names]
        assert self.queue.enqueue(batch) == numbers

    def on_delivery(self, taker: CheckedTaker, message: Message) -> None:
        expected = self.model.at(Place.RECEIVABLE)[0]
        assert name_of(message) == expected.name, "receivable messages are delivered in order"
        self.agrees(message, expected)
        if taker.deletes:
            assert message.lock_token is None
            expected.place = Place.GONE
        else:
            self.locked(message, expected)

    def locked(self, message: Message, expected: Expected) -> None:
        assert message.lock_token
        assert message.locked_until_ms == self.clock.now_ms + LOCK_MS
        self.model.lock(expected, message.lock_token, message.locked_until_ms)
        self.tokens.append((expected.name, message.lock_token))

    @initialize()
    def have_some(self) -> None:
        self.send(number=3, delay_ms=None, ttl=None, message_id=None)

    @rule(
        which=st.integers(0, 2),
        credit=st.integers(1, 3),
        after_ms=st.sampled_from([0, 0, 400, LOCK_MS]),
        then=st.sampled_from([None, *HOW]),
    )
    def receive(self, which: int, credit: int, after_ms: int, then: str | None) -> None:
        taker, known = self.takers[which], len(self.tokens)
        taker.credit, taker.waits = taker.credit * taker.waits + credit, True
        self.queue.wait(taker)
        self.pass_time(after_ms)
        if then:
            for name, token in self.tokens[known:]:
                self.settle_one(name, token, then)

    @rule(which=st.integers(0, 2))
    def forget(self, which: int) -> None:
        self.queue.forget(self.takers[which])
        self.takers[which].credit, self.takers[which].waits = 5, False

    def pick_token(self, pick: int) -> tuple[str, bytes]:
        """A valid token, or one of the last two, which may be invalid."""
        tokens = [*((m.name, m.token) for m in self.model.at(Place.LOCKED)), *self.tokens[-2:]]
        return tokens[pick % len(tokens)]

    @precondition(lambda self: self.tokens)
    @rule(pick=st.integers(0, 5), how=st.sampled_from(HOW))
    def settle(self, pick: int, how: str) -> None:
        self.settle_one(*self.pick_token(pick), how)

    def settle_one(self, name: str, token: bytes, how: str) -> None:
        operation = settlements(self.queue, token)[how]
        if not self.model.is_valid(name, token):
            with pytest.raises(LockLostError):
                operation()
            return
        self.model.settle(self.model.messages[name], how)
        operation()
        self.queue.tick()

    @precondition(lambda self: self.tokens)
    @rule(pick=st.integers(0, 5))
    def renew(self, pick: int) -> None:
        name, token = self.pick_token(pick)
        if not self.model.is_valid(name, token):
            with pytest.raises(LockLostError):
                self.queue.renew([token])
            return
        [until_ms] = self.queue.renew([token])
        assert until_ms == self.clock.now_ms + LOCK_MS
        self.model.messages[name].until_ms = until_ms

    @precondition(lambda self: self.model.at(Place.DEFERRED))
    @rule(number=st.integers(1, 2), deletes=st.booleans(), wrong=st.booleans())
    def receive_deferred(self, number: int, *, deletes: bool, wrong: bool) -> None:
        wanted = self.model.at(Place.DEFERRED)[:number]
        numbers = [message.number for message in wanted]
        if wrong:
            others = [m.number for m in self.model.at(Place.RECEIVABLE, Place.LOCKED, Place.SCHEDULED)] or [99]
            numbers.append(others[0])
            with pytest.raises(MessageNotFoundError):
                self.queue.receive_deferred(numbers, deletes=deletes)
            return
        for message, expected in zip(self.queue.receive_deferred(numbers, deletes=deletes), wanted, strict=True):
            self.agrees(message, expected)
            if deletes:
                expected.place = Place.GONE
            else:
                self.locked(message, expected)

    @rule(number=st.integers(1, 2), wrong=st.booleans())
    def cancel_scheduled(self, number: int, *, wrong: bool) -> None:
        wanted = self.model.at(Place.SCHEDULED)[:number]
        numbers = [message.number for message in wanted]
        if wrong:
            others = [m.number for m in self.model.at(Place.RECEIVABLE, Place.LOCKED, Place.DEFERRED)] or [99]
            with pytest.raises(MessageNotFoundError):
                self.queue.cancel_scheduled([*numbers, others[0]])
            return
        self.queue.cancel_scheduled(numbers)
        for message in wanted:
            message.place = Place.GONE

    @rule(milliseconds=st.sampled_from([1, 400, 400, 1_000, 6_000]))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.now_ms += milliseconds
        self.model.apply_due()
        self.queue.tick()

    @rule()
    def empty_the_dead_letters(self) -> None:
        dead = self.model.at(Place.DEAD)
        taker = take(dead_letters(self.queue), 100)
        assert sorted(taker.names) == sorted(message.name for message in dead)
        for message, token in taker.taken:
            assert message.delivery_count == self.model.messages[name_of(message)].count
            assert message.dead_letter
            dead_letters(self.queue).complete(token)
        for expected in dead:
            expected.place = Place.GONE

    def agrees(self, message: Message, expected: Expected) -> None:
        got = (name_of(message), message.sequence_number, message.delivery_count)
        assert got == (expected.name, expected.number, expected.count)

    @invariant()
    def the_queue_holds_what_the_model_holds(self) -> None:
        for message, expected in zip(self.queue.peek(0, 1_000), self.model.here(), strict=True):
            self.agrees(message, expected)
            assert (message.lock_token is not None) == (expected.place is Place.LOCKED)
            assert message.lock_token in (None, expected.token)

    @invariant()
    def a_peek_shows_a_part(self) -> None:
        numbers = [message.number for message in self.model.here()]
        start = self.model.last_number // 2
        found = [message.sequence_number for message in self.queue.peek(start, 3)]
        assert found == [number for number in numbers if number >= start][:3]

    @invariant()
    def the_counts_and_sizes_add_up(self) -> None:
        def number(place: Place) -> int:
            return len(self.model.at(place))

        assert self.queue.counts() == QueueCounts(
            "q",
            active=number(Place.RECEIVABLE),
            locked=number(Place.LOCKED),
            scheduled=number(Place.SCHEDULED),
            dead_letter=number(Place.DEAD),
            deferred=number(Place.DEFERRED),
        )
        assert self.queue.size_bytes() == self.model.size_bytes()

    @invariant()
    def no_receiver_waits_while_a_message_is_receivable(self) -> None:
        assert not self.model.at(Place.RECEIVABLE) or not any(t.waits and t.credit for t in self.takers)

    @invariant()
    def the_journal_knows_what_is_there(self) -> None:
        noted = self.journal.messages["q"]
        assert sorted(noted) == [message.number for message in self.model.here()]
        for expected in self.model.here():
            self.agrees(noted[expected.number], expected)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
