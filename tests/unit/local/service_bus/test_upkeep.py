"""A queue's memory depends on the messages that it holds, not on those that have passed through it."""

from local.service_bus.broker.agenda import SLACK
from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.support import Clock, make_queue, make_session_queue, pass_time, submission, take

HOUR_MS = 3_600_000


def test_a_queue_keeps_no_entries_of_removed_messages(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(default_ttl_ms=HOUR_MS))
    for _ in range(50):
        queue.enqueue([submission("x", scheduled_for_ms=clock.now_ms + 10), *(submission("x") for _ in range(99))])
        pass_time(clock, queue, 10)
        for _, token in take(queue, 100).taken:
            queue.renew([token])
            queue.complete(token)
    queue.tick()
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)
    storage = queue._storage
    assert max(len(storage._expiries), len(queue._locks._ends), len(storage.lane._numbers)) <= SLACK


def test_a_message_that_is_released_often_has_one_expiry_entry(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(default_ttl_ms=HOUR_MS))
    queue.enqueue([submission("x")])
    for _ in range(2 * SLACK):
        queue.release(take(queue).token)
    queue.tick()
    assert len(queue._storage._expiries) <= SLACK


def test_a_message_that_was_released_still_expires(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(lock_duration_ms=HOUR_MS, default_ttl_ms=100))
    queue.enqueue([submission("in time"), submission("too late")])
    taker = take(queue, 2)
    queue.release(taker.taken[0][1])
    pass_time(clock, queue, 100)
    assert queue.counts() == QueueCounts("q", active=0, locked=1, scheduled=0, dead_letter=0)
    queue.release(taker.token)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)


def test_ids_are_forgotten_when_their_window_is_over(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(duplicate_window_ms=100))
    queue.enqueue([submission("a", message_id="1"), submission("b", message_id="2")])
    pass_time(clock, queue, 99)
    queue.enqueue([submission("c", message_id="3"), submission("again", message_id="1")])
    pass_time(clock, queue, 1)
    assert queue._duplicates._seen == {"3"}
    assert len(queue._duplicates._by_age) == 1


def test_a_session_drops_messages_that_expired_behind_one_that_stays(clock: Clock) -> None:
    queue = make_session_queue(Namespace(clock), QueueSettings())
    queue.enqueue([submission("stays", session_id="a")])
    for _ in range(2 * SLACK):
        queue.enqueue([submission("x", ttl_ms=1, session_id="a")])
        pass_time(clock, queue, 1)
    assert queue.counts() == QueueCounts("q", 1, 0, 0, 0)
    [session] = queue._sessions._sessions.values()
    assert len(session.lane._numbers) <= SLACK + 3
