import pytest

from local.service_bus.broker.agenda import SLACK
from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.errors import NotAllowedError, SessionLockedError, SessionLockLostError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.support import (
    LOCK_MS,
    Clock,
    SessionTaker,
    dead_letters,
    make_session_queue,
    name_of,
    pass_time,
    submission,
    take,
)

SETTINGS = QueueSettings(lock_duration_ms=LOCK_MS, max_delivery_count=3)


@pytest.fixture
def queue(clock: Clock) -> SessionQueue:
    return make_session_queue(Namespace(clock), SETTINGS)


def send(queue: SessionQueue, session_id: str, *names: str) -> list[int]:
    return queue.enqueue([submission(name, session_id=session_id) for name in names])


def holder(queue: SessionQueue, session_id: str, credit: int = 0) -> SessionTaker:
    taker = SessionTaker(credit)
    queue.accept(session_id, taker)
    queue.wait(taker)
    return taker


def next_available(queue: SessionQueue, credit: int = 0) -> SessionTaker:
    taker = SessionTaker(credit)
    queue.accept_any(taker)
    queue.wait(taker)
    return taker


def session_of(taker: SessionTaker) -> str | None:
    return taker.granted[-1][0] if taker.granted else None


def test_a_holder_gets_the_messages_of_its_session_alone(clock: Clock, queue: SessionQueue) -> None:
    taker = holder(queue, "a", credit=10)
    assert taker.granted == [("a", clock.now_ms + LOCK_MS)]
    send(queue, "a", "a1")
    send(queue, "b", "b1")
    send(queue, "a", "a2")
    assert taker.names == ["a1", "a2"]
    assert queue.counts() == QueueCounts("q", active=1, locked=2, scheduled=0, dead_letter=0)


def test_a_session_has_one_holder(queue: SessionQueue) -> None:
    first = holder(queue, "a")
    with pytest.raises(SessionLockedError):
        queue.accept("a", SessionTaker())
    queue.leave(first)
    queue.accept("a", SessionTaker())


def test_a_receiver_without_a_session_gets_nothing(queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    taker = SessionTaker(credit=1)
    queue.wait(taker)
    assert taker.names == []


def test_the_next_available_session_is_the_one_that_has_had_messages_longest(queue: SessionQueue) -> None:
    for session_id in "abc":
        send(queue, session_id, session_id)
    taken = holder(queue, "b")
    assert [session_of(next_available(queue)) for _ in range(3)] == ["a", "c", None]
    queue.leave(taken)


def test_a_released_session_waits_its_turn(queue: SessionQueue) -> None:
    send(queue, "busy", *"123456")
    send(queue, "other", "1")
    order = []
    for _ in range(3):
        taker = next_available(queue, credit=1)
        order.append(session_of(taker))
        queue.complete(taker.token)
        queue.leave(taker)
    assert order == ["busy", "other", "busy"]


def test_a_waiting_receiver_gets_a_session_as_soon_as_it_has_a_message(queue: SessionQueue) -> None:
    first, second = next_available(queue), next_available(queue)
    send(queue, "a", "a1")
    assert (session_of(first), session_of(second)) == ("a", None)
    send(queue, "b", "b1")
    assert session_of(second) == "b"


def test_a_waiting_receiver_gets_a_session_that_another_releases(queue: SessionQueue) -> None:
    send(queue, "a", "a1", "a2")
    first, second = next_available(queue, credit=1), next_available(queue)
    queue.leave(first)
    assert session_of(second) == "a"


def test_a_waiting_receiver_gets_a_session_whose_lock_ends(clock: Clock, queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    first, second = next_available(queue, credit=1), next_available(queue)
    pass_time(clock, queue, LOCK_MS)
    assert first.lost == 1
    assert session_of(second) == "a"


def test_a_receiver_that_leaves_stops_waiting(queue: SessionQueue) -> None:
    taker = next_available(queue)
    queue.leave(taker)
    send(queue, "a", "a1")
    assert taker.granted == []


def test_a_receiver_that_has_left_gets_no_more_messages_of_the_session(queue: SessionQueue) -> None:
    taker = holder(queue, "a", credit=1)
    queue.leave(taker)
    holder(queue, "a")
    send(queue, "a", "a1")
    assert taker.names == []


def test_leaving_returns_messages_to_their_place_uncounted(queue: SessionQueue) -> None:
    send(queue, "a", "a1", "a2")
    queue.leave(holder(queue, "a", credit=2))
    again = holder(queue, "a", credit=2)
    assert again.names == ["a1", "a2"]
    assert [message.delivery_count for message, _ in again.taken] == [0, 0]


def test_an_expired_lock_returns_messages_counted(clock: Clock, queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    for _ in range(3):
        holder(queue, "a", credit=1)
        pass_time(clock, queue, LOCK_MS)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, dead_letter=1)


def test_renewing_a_session_prolongs_the_locks_of_its_messages(clock: Clock, queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    taker = holder(queue, "a", credit=1)
    pass_time(clock, queue, LOCK_MS - 1)
    assert queue.renew_session("a") == clock.now_ms + LOCK_MS
    pass_time(clock, queue, LOCK_MS - 1)
    queue.complete(taker.token)
    assert taker.lost == 0


def test_the_lock_of_one_message_cannot_be_renewed(queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    with pytest.raises(NotAllowedError):
        queue.renew([holder(queue, "a", credit=1).token])


def test_a_deferred_message_is_received_only_while_its_session_is_held(clock: Clock, queue: SessionQueue) -> None:
    [number] = send(queue, "a", "a1")
    taker = holder(queue, "a", credit=1)
    queue.defer(taker.token)
    [message] = queue.receive_deferred([number], deletes=False)
    assert message.locked_until_ms == taker.granted[0][1]
    queue.leave(taker)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0, deferred=1)
    with pytest.raises(SessionLockLostError):
        queue.receive_deferred([number], deletes=True)


def test_a_session_lock_that_has_ended_is_lost_even_before_the_next_tick(clock: Clock, queue: SessionQueue) -> None:
    [number] = send(queue, "a", "a1")
    queue.defer(holder(queue, "a", credit=1).token)
    clock.now_ms += LOCK_MS
    with pytest.raises(SessionLockLostError):
        queue.receive_deferred([number], deletes=False)
    with pytest.raises(SessionLockLostError):
        queue.renew_session("a")
    queue.accept("a", SessionTaker())


def test_a_state_stays_with_its_session_and_is_for_its_holder(queue: SessionQueue) -> None:
    with pytest.raises(SessionLockLostError):
        queue.set_session_state("a", b"1")
    taker = holder(queue, "a")
    queue.set_session_state("a", b"1")
    queue.leave(taker)
    with pytest.raises(SessionLockLostError):
        queue.session_state("a")
    again = holder(queue, "a")
    assert queue.session_state("a") == b"1"
    queue.set_session_state("a", None)
    assert queue.session_state("a") is None
    queue.leave(again)
    assert queue.session_ids() == []


def test_sessions_are_listed_while_they_have_messages_or_state(queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    queue.leave(holder(queue, "idle"))
    holder(queue, "b")
    queue.set_session_state("b", b"1")
    assert sorted(queue.session_ids()) == ["a", "b"]


def test_a_message_without_a_session_is_refused(queue: SessionQueue) -> None:
    with pytest.raises(NotAllowedError):
        queue.enqueue([submission("in", session_id="a"), submission("out")])
    assert queue.counts().active == 0


def test_dead_letters_are_received_without_their_session(queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    queue.dead_letter(holder(queue, "a", credit=1).token, None, None)
    [(message, _)] = take(dead_letters(queue)).taken
    assert message.session_id == "a"


def test_peeking_can_keep_to_a_session(queue: SessionQueue) -> None:
    send(queue, "a", "a1")
    send(queue, "b", "b1", "b2")
    assert [name_of(message) for message in queue.peek(1, 10, "b")] == ["b1", "b2"]
    assert [name_of(message) for message in queue.peek(1, 10)] == ["a1", "b1", "b2"]


def test_clearing_forgets_messages_and_states(queue: SessionQueue) -> None:
    taker = holder(queue, "a", credit=1)
    send(queue, "a", "a1")
    queue.set_session_state("a", b"1")
    queue.clear()
    assert queue.session_state("a") is None
    queue.leave(taker)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)
    assert queue.session_ids() == []


def test_idle_sessions_are_removed(clock: Clock, queue: SessionQueue) -> None:
    for number in range(2 * SLACK):
        send(queue, str(number), "m")
        taker = holder(queue, str(number), credit=1)
        queue.complete(taker.token)
        queue.leave(taker)
    kept = holder(queue, "held")
    queue.set_session_state("held", b"1")
    send(queue, "waits", "w")
    queue.tick()
    assert len(queue._sessions._sessions) <= SLACK
    assert len(queue._sessions._free) <= SLACK
    assert queue.session_state("held") == b"1"
    assert session_of(kept) == "held"
    assert session_of(next_available(queue)) == "waits"


def test_sessions_take_turns_when_credits_are_short(clock: Clock) -> None:
    queue = make_session_queue(Namespace(clock, credits_per_second=10), QueueSettings(lock_duration_ms=60_000))
    send(queue, "a", *"1234567890")
    pass_time(clock, queue, 1_000)
    send(queue, "b", *"1234567890")
    takers = [holder(queue, session_id, credit=10) for session_id in "ab"]
    assert [len(taker.taken) for taker in takers] == [0, 0]
    for _ in range(2):
        pass_time(clock, queue, 400)
    assert [len(taker.taken) for taker in takers] == [4, 4]
