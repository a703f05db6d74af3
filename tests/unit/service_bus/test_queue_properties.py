"""Any sequence of operations leaves every message in exactly one place."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from local.service_bus.broker.errors import LockLostError
from local.service_bus.broker.settings import QueueSettings
from tests.unit.service_bus.support import LOCK_MS, Clock, Taker, dead_letters, make_queue, name_of, submission, take

MAX_DELIVERIES = 3
TTL_MS = 5_000


class QueueMachine(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = make_queue(
            self.clock,
            QueueSettings(LOCK_MS, MAX_DELIVERIES, default_ttl_ms=TTL_MS, dead_letters_expired=True),
        )
        self.sent = 0
        self.gone: set[str] = set()
        self.counts: dict[str, int] = {}
        self.holders: dict[str, tuple[bytes, int]] = {}

    def _names(self) -> list[str]:
        return [f"m{self.sent + offset}" for offset in range(3)]

    @rule(number=st.integers(1, 3), delay_ms=st.sampled_from([None, 0, 500, 2_000]), ttl=st.sampled_from([None, 700]))
    def send(self, number: int, delay_ms: int | None, ttl: int | None) -> None:
        due = None if delay_ms is None else self.clock.now_ms + delay_ms
        self.queue.enqueue([submission(name, ttl_ms=ttl, scheduled_for_ms=due) for name in self._names()[:number]])
        self.sent += number

    @rule(target=tokens, credit=st.integers(1, 3))
    def receive(self, credit: int) -> list[tuple[str, bytes]]:
        return self._record(take(self.queue, credit))

    def _record(self, taker: Taker) -> list[tuple[str, bytes]]:
        for message, token in taker.taken:
            name = name_of(message)
            assert name not in self.gone, "settled messages do not come back"
            assert message.delivery_count >= self.counts.get(name, 0), "delivery counts only rise"
            assert message.delivery_count < MAX_DELIVERIES
            self.counts[name] = message.delivery_count
            _, until_ms = self.holders.get(name, (b"", 0))
            assert until_ms <= self.clock.now_ms, "a lock has one holder"
            self.holders[name] = (token, self.clock.now_ms + LOCK_MS)
        return [(name_of(message), token) for message, token in taker.taken]

    @rule()
    def receive_and_delete(self) -> None:
        for message, _ in take(self.queue, deletes=True).taken:
            assert name_of(message) not in self.gone
            self.gone.add(name_of(message))

    @rule(held=consumes(tokens), how=st.sampled_from(["complete", "abandon", "release", "dead_letter", "renew"]))
    def settle(self, held: list[tuple[str, bytes]], how: str) -> None:
        for name, token in held:
            current, until_ms = self.holders.get(name, (b"", 0))
            valid = current == token and until_ms > self.clock.now_ms
            try:
                self._settle(name, token, how)
            except LockLostError:
                assert not valid, "a lock that has not ended is good"
            else:
                assert valid, "a lock that has ended is not"

    def _settle(self, name: str, token: bytes, how: str) -> None:
        match how:
            case "complete":
                self.queue.complete(token)
                self.gone.add(name)
            case "abandon":
                self.queue.abandon(token)
            case "release":
                self.queue.release(token)
            case "dead_letter":
                self.queue.dead_letter(token, "r", "d")
            case "renew":
                [until_ms] = self.queue.renew([token])
                self.holders[name] = (token, until_ms)
        if how != "renew":
            del self.holders[name]

    @rule(milliseconds=st.sampled_from([1, 400, 1_000, 6_000]))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.now_ms += milliseconds
        self.queue.tick()

    @rule()
    def empty_the_dead_letters(self) -> None:
        for message, token in take(dead_letters(self.queue), 100).taken:
            dead_letters(self.queue).complete(token)
            self.gone.add(name_of(message))

    @invariant()
    def every_message_is_in_exactly_one_place(self) -> None:
        here = [name_of(message) for message in self.queue._storage._messages.values()]
        there = [name_of(message) for message in dead_letters(self.queue)._storage._messages.values()]
        assert sorted([*here, *there, *self.gone]) == sorted(f"m{number}" for number in range(self.sent))

    @invariant()
    def the_counts_add_up(self) -> None:
        counts = self.queue.counts()
        assert counts.active + counts.locked + counts.scheduled == len(self.queue._storage._messages)
        assert min(counts.active, counts.locked, counts.scheduled) >= 0
        locked = [message for message in self.queue._storage._messages.values() if message.lock_token]
        assert {message.lock_token for message in locked} == set(self.queue._locks._by_token)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
