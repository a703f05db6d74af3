"""The parts of a queue in isolation: its locks, and the lane with its waiting receivers."""

import pytest

from local.service_bus.broker.agenda import SLACK
from local.service_bus.broker.errors import LockLostError
from local.service_bus.broker.lane import Lane
from local.service_bus.broker.locks import Locks
from local.service_bus.broker.messages import Message
from local.service_bus.broker.receivers import Receiver
from tests.unit.local.service_bus.support import Taker, submission

UNTIL_MS = 100


def message(number: int = 1, session_id: str | None = None) -> Message:
    return Message(number, number, submission(str(number)).content, 0, None, session_id)


def token_of(locked: Message) -> bytes:
    assert locked.lock_token
    return locked.lock_token


def lane_of(numbers: list[int]) -> tuple[Lane, dict[int, Message]]:
    messages = {number: message(number) for number in numbers}
    lane = Lane(messages)
    for number in numbers:
        lane.add(number)
    return lane, messages


def serve(lane: Lane, budget: int = 1_000) -> int:
    def deliver(receiver: Receiver, delivered: Message) -> None:
        receiver.deliver(delivered)

    return lane.serve(deliver, budget)


def test_a_token_finds_its_message_until_its_lock_ends() -> None:
    locks, locked = Locks(), message()
    locks.lock(locked, UNTIL_MS)
    assert len(token_of(locked)) == 16
    assert locks.find(token_of(locked), UNTIL_MS - 1) is locked
    with pytest.raises(LockLostError):
        locks.find(token_of(locked), UNTIL_MS)
    with pytest.raises(LockLostError):
        locks.find(b"unknown", 0)


def test_a_lock_that_was_ended_or_extended_is_not_among_the_ended() -> None:
    locks, ended, unlocked, extended = Locks(), message(1), message(2), message(3)
    for each in (ended, unlocked, extended):
        locks.lock(each, UNTIL_MS)
    locks.unlock(unlocked)
    locks.extend(extended, 2 * UNTIL_MS)
    assert list(locks.ended(UNTIL_MS - 1)) == []
    assert list(locks.ended(UNTIL_MS)) == [ended]
    locks.unlock(ended)
    assert list(locks.ended(2 * UNTIL_MS)) == [extended]
    assert len(locks) == 1


def test_a_message_locked_again_has_another_token() -> None:
    locks, locked = Locks(), message()
    locks.lock(locked, UNTIL_MS)
    first = token_of(locked)
    locks.unlock(locked)
    assert locked.lock_token is None
    locks.lock(locked, UNTIL_MS)
    with pytest.raises(LockLostError):
        locks.find(first, 0)
    assert locks.find(token_of(locked), 0) is locked


def test_the_locks_of_a_session_are_found() -> None:
    locks = Locks()
    mine = [message(1, "a"), message(3, "a")]
    for locked in [*mine, message(2, "b"), message(4)]:
        locks.lock(locked, UNTIL_MS)
    assert list(locks.of_session("a")) == mine


def test_extending_a_lock_often_does_not_grow_the_agenda() -> None:
    locks, locked = Locks(), message()
    locks.lock(locked, 0)
    for until_ms in range(3 * SLACK):
        locks.extend(locked, until_ms)
        locks.tidy()
    assert len(locks._ends) <= SLACK + 2
    for ended in locks.ended(3 * SLACK):
        assert ended is locked
        locks.unlock(ended)
    assert len(locks) == 0


def test_a_lane_hands_out_the_lowest_number_first() -> None:
    lane, _ = lane_of([3, 1, 2])
    taker = Taker(credit=2)
    lane.waiting.join(taker)
    assert serve(lane) == 2
    assert taker.names == ["1", "2"]


def test_a_lane_stops_at_its_budget() -> None:
    lane, _ = lane_of([1, 2, 3])
    one, other = Taker(credit=1), Taker(credit=2)
    lane.waiting.join(one)
    lane.waiting.join(other)
    assert serve(lane, budget=0) == 0
    assert serve(lane, budget=-5) == 0
    assert serve(lane, budget=2) == 2
    assert (one.names, other.names) == (["1"], ["2"])


def test_a_lane_skips_removed_messages() -> None:
    lane, messages = lane_of([1, 2, 3])
    del messages[1], messages[3]
    taker = Taker(credit=3)
    lane.waiting.join(taker)
    assert serve(lane) == 1
    assert taker.names == ["2"]
    assert not lane.has_messages()


def test_a_receiver_without_capacity_leaves_the_line_and_rejoins_it_at_the_end() -> None:
    lane, _ = lane_of([1, 2])
    first, second = Taker(credit=0), Taker(credit=2)
    lane.waiting.join(first)
    lane.waiting.join(second)
    assert serve(lane, budget=1) == 1
    first.credit = 1
    lane.waiting.join(first)
    assert serve(lane) == 1
    assert (first.names, second.names) == ([], ["1", "2"])


def test_a_lane_drops_the_numbers_of_removed_messages() -> None:
    lane, messages = lane_of([1])
    for number in range(2, 3 * SLACK):
        messages[number] = message(number)
        lane.add(number)
        del messages[number]
        lane.tidy()
    assert len(lane._numbers) <= SLACK + 3
    assert lane.has_messages()


def test_a_lane_keeps_its_order_when_it_drops_numbers() -> None:
    lane, messages = lane_of(list(range(3 * SLACK, 0, -1)))
    kept = list(range(100, 3 * SLACK, 100))
    for number in list(messages):
        if number not in kept:
            del messages[number]
    lane.tidy()
    taker = Taker(credit=len(kept))
    lane.waiting.join(taker)
    assert serve(lane) == len(kept)
    assert taker.names == [str(number) for number in kept]
