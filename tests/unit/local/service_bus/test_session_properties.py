"""Random operations on a session queue: a session has one holder, which gets all of its messages in order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.errors import LockLostError, SessionLockedError, SessionLockLostError
from local.service_bus.broker.messages import Message
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.checked import SessionHolder
from tests.unit.local.service_bus.model import Place, QueueModel
from tests.unit.local.service_bus.support import (
    LOCK_MS,
    Clock,
    MemoryJournal,
    make_session_queue,
    name_of,
    settlements,
    submission,
)

MAX_DELIVERIES = 3
TTL_MS = 5_000
SETTINGS = QueueSettings(LOCK_MS, MAX_DELIVERIES, default_ttl_ms=TTL_MS, dead_letters_expired=True)
SESSIONS = ["a", "b"]
HOW = ["complete", "abandon", "release", "defer", "dead_letter"]


class SessionQueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.queue = make_session_queue(Namespace(self.clock, journal=self.journal), SETTINGS)
        self.model = QueueModel(self.clock, MAX_DELIVERIES)
        self.line: list[SessionHolder] = []
        self.holders = [
            SessionHolder(self.clock, self.on_delivery, self.on_grant, deletes)
            for deletes in (False, False, False, True)
        ]
        self.states: dict[str, bytes] = {}
        self.tokens: list[tuple[str, bytes]] = []
        self.sent = 0

    def holder_of(self, session_id: str | None) -> SessionHolder | None:
        found = [holder for holder in self.holders if holder.session_id == session_id]
        assert len(found) <= 1, "a session has one holder"
        return found[0] if found else None

    def on_grant(self, holder: SessionHolder) -> None:
        self.holder_of(holder.session_id)
        if holder.waits_for_session:
            assert self.model.at(Place.RECEIVABLE, session_id=holder.session_id), (
                "a receiver that waits for any session gets one with messages"
            )
            assert self.line.pop(0) is holder, "the receiver that waits longest gets the next session"
            holder.waits_for_session = False

    def on_delivery(self, holder: SessionHolder, message: Message) -> None:
        expected = self.model.at(Place.RECEIVABLE, session_id=holder.session_id)[0]
        got = (name_of(message), message.sequence_number, message.delivery_count)
        assert got == (expected.name, expected.number, expected.count), "a session's messages leave in order"
        if holder.deletes:
            expected.place = Place.GONE
            return
        assert message.lock_token
        assert message.locked_until_ms == holder.until_ms
        self.model.lock(expected, message.lock_token, holder.until_ms)
        self.tokens.append((expected.name, message.lock_token))

    @rule(
        session_ids=st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=3),
        delay_ms=st.sampled_from([None, None, 500]),
    )
    def send(self, session_ids: list[str], delay_ms: int | None) -> None:
        due_ms = None if delay_ms is None else self.clock.now_ms + delay_ms
        named = [(f"m{self.sent + offset}", session_id) for offset, session_id in enumerate(session_ids)]
        self.sent += len(named)
        numbers = [self.model.send(name, None, TTL_MS, due_ms, session_id) for name, session_id in named]
        batch = [submission(name, scheduled_for_ms=due_ms, session_id=session_id) for name, session_id in named]
        assert self.queue.enqueue(batch) == numbers

    @initialize()
    def have_some(self) -> None:
        self.send(["a", "b", "a", "a"], None)
        self.accept_any(0)

    def free(self) -> list[SessionHolder]:
        return [holder for holder in self.holders if holder.session_id is None and not holder.waits_for_session]

    @precondition(lambda self: self.free())
    @rule(session_id=st.sampled_from(SESSIONS), pick=st.integers(0, 3))
    def accept(self, session_id: str, pick: int) -> None:
        holder = self.free()[pick % len(self.free())]
        if self.holder_of(session_id) is None:
            self.queue.accept(session_id, holder)
            return
        with pytest.raises(SessionLockedError):
            self.queue.accept(session_id, holder)

    @precondition(lambda self: self.free())
    @rule(pick=st.integers(0, 3))
    def accept_any(self, pick: int) -> None:
        holder = self.free()[pick % len(self.free())]
        holder.waits_for_session = True
        self.line.append(holder)
        self.queue.accept_any(holder)

    @rule(
        session_id=st.sampled_from(SESSIONS),
        credit=st.integers(1, 3),
        after_ms=st.sampled_from([0, 0, 400, LOCK_MS]),
        then=st.sampled_from([None, "leave", *HOW]),
    )
    def receive(self, session_id: str, credit: int, after_ms: int, then: str | None) -> None:
        if self.holder_of(session_id) is None and self.free():
            self.accept(session_id, 0)
        holder, known = self.holder_of(session_id), len(self.tokens)
        if holder is None:
            return
        holder.credit += credit
        self.queue.wait(holder)
        self.pass_time(after_ms)
        if then == "leave":
            self.leave(session_id)
        elif then:
            for name, token in self.tokens[known:]:
                self.settle_one(name, token, then)

    @rule(session_id=st.sampled_from(SESSIONS))
    def leave(self, session_id: str) -> None:
        holder = self.holder_of(session_id)
        if holder is None:
            return
        for message in self.model.at(Place.LOCKED, session_id=holder.session_id):
            self.model.return_message(message, counts=False)
        holder.stand_free()
        self.queue.leave(holder)

    @precondition(lambda self: self.line)
    @rule()
    def wait_no_more(self) -> None:
        holder = self.line.pop()
        holder.stand_free()
        self.queue.leave(holder)

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

    @rule(session_id=st.sampled_from(SESSIONS), deletes=st.booleans())
    def receive_deferred(self, session_id: str, *, deletes: bool) -> None:
        wanted = self.model.at(Place.DEFERRED, session_id=session_id)
        numbers = [message.number for message in wanted]
        holder = self.holder_of(session_id)
        if not numbers:
            return
        if holder is None:
            with pytest.raises(SessionLockLostError):
                self.queue.receive_deferred(numbers, deletes=deletes)
            return
        for message, expected in zip(self.queue.receive_deferred(numbers, deletes=deletes), wanted, strict=True):
            assert (message.sequence_number, message.delivery_count) == (expected.number, expected.count)
            expected.place = Place.GONE
            if not deletes:
                assert message.lock_token
                self.model.lock(expected, message.lock_token, holder.until_ms)
                self.tokens.append((expected.name, message.lock_token))

    @rule(session_id=st.sampled_from(SESSIONS))
    def renew(self, session_id: str) -> None:
        holder = self.holder_of(session_id)
        if holder is None:
            with pytest.raises(SessionLockLostError):
                self.queue.renew_session(session_id)
            return
        holder.until_ms = self.queue.renew_session(session_id)
        assert holder.until_ms == self.clock.now_ms + LOCK_MS
        for message in self.model.at(Place.LOCKED, session_id=session_id):
            message.until_ms = holder.until_ms

    @rule(session_id=st.sampled_from(SESSIONS), state=st.sampled_from([b"1", b"2", None]))
    def set_state(self, session_id: str, state: bytes | None) -> None:
        if self.holder_of(session_id) is None:
            with pytest.raises(SessionLockLostError):
                self.queue.set_session_state(session_id, state)
            return
        self.queue.set_session_state(session_id, state)
        self.states.pop(session_id, None)
        if state is not None:
            self.states[session_id] = state

    @rule(milliseconds=st.sampled_from([1, 400, 400, 600, 6_000]))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.now_ms += milliseconds
        self.model.apply_due()
        self.queue.tick()
        assert all(h.session_id is None or h.until_ms > self.clock.now_ms for h in self.holders), "all locks end"

    @rule()
    def start_again(self) -> None:
        namespace = Namespace(self.clock, journal=self.journal)
        self.queue = make_session_queue(namespace, SETTINGS)
        self.journal.restore(namespace)
        self.model.lose_locks()
        self.line.clear()
        for holder in self.holders:
            holder.stand_free()
        self.queue.tick()

    @invariant()
    def the_queue_holds_what_the_model_holds(self) -> None:
        for message, expected in zip(self.queue.peek(0, 1_000), self.model.here(), strict=True):
            got = (name_of(message), message.sequence_number, message.delivery_count, message.session_id)
            assert got == (expected.name, expected.number, expected.count, expected.session_id)
            assert message.lock_token == (expected.token if expected.place is Place.LOCKED else None)

    @invariant()
    def a_peek_can_keep_to_a_session(self) -> None:
        for session_id in SESSIONS:
            numbers = [message.number for message in self.model.here() if message.session_id == session_id]
            assert [message.sequence_number for message in self.queue.peek(2, 100, session_id)] == [
                number for number in numbers if number >= 2
            ]

    @invariant()
    def the_counts_add_up(self) -> None:
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

    @invariant()
    def what_is_locked_belongs_to_a_session_that_is_held(self) -> None:
        assert all(self.holder_of(message.session_id) for message in self.model.at(Place.LOCKED))

    @invariant()
    def no_receiver_waits_while_it_can_be_served(self) -> None:
        for session_id in SESSIONS:
            if self.model.at(Place.RECEIVABLE, session_id=session_id):
                holder = self.holder_of(session_id)
                assert not holder.credit if holder else not self.line

    @invariant()
    def states_stay(self) -> None:
        receivable = {message.session_id for message in self.model.at(Place.RECEIVABLE)}
        assert set(self.queue.session_ids()) == receivable | self.states.keys()
        assert self.journal.states["q"] == self.states
        for session_id in SESSIONS:
            if self.holder_of(session_id):
                assert self.queue.session_state(session_id) == self.states.get(session_id)


TestSessionQueueMachine = SessionQueueMachine.TestCase
TestSessionQueueMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
