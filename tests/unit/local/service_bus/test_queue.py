import sys

import pytest

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.errors import (
    LockLostError,
    MessageNotFoundError,
    MessageTooLargeError,
    NotAllowedError,
)
from local.service_bus.broker.messages import MessageState
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.support import (
    LOCK_MS,
    Clock,
    Taker,
    dead_letters,
    make_queue,
    name_of,
    pass_time,
    submission,
    take,
)

SETTINGS = QueueSettings(lock_duration_ms=LOCK_MS, max_delivery_count=3)


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return make_queue(clock, SETTINGS)


def send(queue: Queue, *names: str) -> list[int]:
    return queue.enqueue([submission(name) for name in names])


def test_messages_leave_in_the_order_of_their_arrival(queue: Queue) -> None:
    assert send(queue, "a", "b", "c") == [1, 2, 3]
    assert take(queue, 2).names == ["a", "b"]
    assert take(queue, 2).names == ["c"]


def test_a_receiver_that_waits_gets_what_arrives(queue: Queue) -> None:
    taker = Taker(credit=2)
    queue.wait(taker)
    send(queue, "a", "b", "c")
    assert taker.names == ["a", "b"]
    assert queue.counts() == QueueCounts("q", active=1, locked=2, scheduled=0, dead_letter=0)


def test_receivers_are_served_in_turn(queue: Queue) -> None:
    one, other = Taker(credit=10), Taker(credit=10)
    queue.wait(one)
    queue.wait(other)
    for name in "abcd":
        send(queue, name)
    assert one.names == ["a", "c"]
    assert other.names == ["b", "d"]


def test_a_receiver_that_is_forgotten_gets_nothing_more(queue: Queue) -> None:
    taker = Taker(credit=10)
    queue.wait(taker)
    queue.forget(taker)
    send(queue, "a")
    assert taker.names == []


def test_completing_removes_a_message_once(queue: Queue) -> None:
    send(queue, "a")
    token = take(queue).token
    queue.complete(token)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)
    with pytest.raises(LockLostError):
        queue.complete(token)


def test_a_receiver_that_deletes_leaves_nothing(queue: Queue) -> None:
    send(queue, "a", "b")
    assert take(queue, 1, deletes=True).names == ["a"]
    assert queue.counts() == QueueCounts("q", 1, 0, 0, 0)


def test_abandoning_counts_and_returns_the_message_to_its_place(queue: Queue) -> None:
    send(queue, "a", "b")
    queue.abandon(take(queue).token)
    again = take(queue, 2)
    assert again.names == ["a", "b"]
    assert [message.delivery_count for message, _ in again.taken] == [1, 0]


def test_releasing_does_not_count(queue: Queue) -> None:
    send(queue, "a")
    for _ in range(5):
        queue.release(take(queue).token)
    assert take(queue).taken[0][0].delivery_count == 0


def test_a_lock_ends_after_its_duration_and_counts(clock: Clock, queue: Queue) -> None:
    send(queue, "a")
    token = take(queue).token
    pass_time(clock, queue, LOCK_MS - 1)
    assert take(queue).names == []
    pass_time(clock, queue, 1)
    [(message, _)] = take(queue).taken
    assert message.delivery_count == 1
    with pytest.raises(LockLostError):
        queue.complete(token)


def test_a_lock_that_has_ended_is_lost_even_before_the_next_tick(clock: Clock, queue: Queue) -> None:
    send(queue, "a")
    token = take(queue).token
    clock.now_ms += LOCK_MS
    with pytest.raises(LockLostError):
        queue.complete(token)


def test_renewing_starts_the_lock_anew(clock: Clock, queue: Queue) -> None:
    send(queue, "a")
    token = take(queue).token
    pass_time(clock, queue, LOCK_MS - 1)
    assert queue.renew([token]) == [clock.now_ms + LOCK_MS]
    pass_time(clock, queue, LOCK_MS - 1)
    queue.complete(token)


def test_renewing_is_for_all_or_none(clock: Clock, queue: Queue) -> None:
    send(queue, "a")
    token = take(queue).token
    clock.now_ms += LOCK_MS - 1
    with pytest.raises(LockLostError):
        queue.renew([token, b"unknown"])
    pass_time(clock, queue, 1)
    assert take(queue).names == ["a"]


def test_the_last_allowed_delivery_sends_a_message_to_the_dead_letters(queue: Queue) -> None:
    send(queue, "a")
    for _ in range(3):
        queue.abandon(take(queue).token)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 1)
    [(message, _)] = take(dead_letters(queue)).taken
    assert message.delivery_count == 3
    assert message.dead_letter == (
        "MaxDeliveryCountExceeded",
        "Message could not be consumed after 3 delivery attempts.",
    )


def test_dead_lettering_keeps_the_original_sequence_number_beside_a_new_one(queue: Queue) -> None:
    send(queue, "a", "b")
    taker = take(queue, 2)
    queue.dead_letter(taker.token, "reason", None)
    [(message, _)] = take(dead_letters(queue)).taken
    assert (message.sequence_number, message.enqueued_sequence_number) == (1, 2)
    assert message.dead_letter == ("reason", None)


def test_a_dead_letter_has_no_delivery_limit_and_cannot_be_dead_lettered(queue: Queue) -> None:
    send(queue, "a")
    queue.dead_letter(take(queue).token, None, None)
    for _ in range(10):
        dead_letters(queue).abandon(take(dead_letters(queue)).token)
    token = take(dead_letters(queue)).token
    with pytest.raises(NotAllowedError):
        dead_letters(queue).dead_letter(token, None, None)
    dead_letters(queue).complete(token)
    assert queue.counts().dead_letter == 0


def test_nothing_is_sent_to_the_dead_letters(queue: Queue) -> None:
    with pytest.raises(NotAllowedError):
        send(dead_letters(queue), "a")


def test_a_message_expires_after_the_shorter_of_its_own_time_and_the_queues(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(default_ttl_ms=100))
    queue.enqueue([submission("own", ttl_ms=50), submission("queues", ttl_ms=10_000), submission("default")])
    pass_time(clock, queue, 50)
    assert [name_of(message) for message in queue.peek(1, 10)] == ["queues", "default"]
    pass_time(clock, queue, 50)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)


def test_an_expired_message_is_not_delivered_even_before_the_next_tick(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(default_ttl_ms=100))
    send(queue, "a")
    clock.now_ms += 100
    assert queue.peek(1, 1) == []
    assert take(queue).names == []


def test_expired_messages_are_dead_lettered_where_the_queue_says_so(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(default_ttl_ms=100, dead_letters_expired=True))
    send(queue, "a")
    pass_time(clock, queue, 100)
    [(message, _)] = take(dead_letters(queue)).taken
    assert message.dead_letter == ("TTLExpiredException", "The message expired and was dead lettered.")
    pass_time(clock, dead_letters(queue), 10_000_000)
    assert queue.counts().dead_letter == 1


def test_a_locked_message_expires_only_when_its_lock_ends(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(lock_duration_ms=LOCK_MS, default_ttl_ms=100))
    send(queue, "kept", "given up")
    taker = take(queue, 2)
    pass_time(clock, queue, 200)
    queue.complete(taker.taken[0][1])
    queue.abandon(taker.taken[1][1])
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)


def test_a_scheduled_message_appears_at_the_end_of_the_queue_under_a_new_number(clock: Clock, queue: Queue) -> None:
    queue.enqueue([submission("later", scheduled_for_ms=clock.now_ms + 100), submission("now")])
    assert queue.counts() == QueueCounts("q", 1, 0, 1, 0)
    assert [message.state for message in queue.peek(1, 10)] == [MessageState.SCHEDULED, MessageState.ACTIVE]
    pass_time(clock, queue, 100)
    taker = take(queue, 2)
    assert taker.names == ["now", "later"]
    later, _ = taker.taken[1]
    assert (later.sequence_number, later.enqueued_at_ms, later.state) == (3, clock.now_ms, MessageState.ACTIVE)


def test_a_time_in_the_past_is_at_once(clock: Clock, queue: Queue) -> None:
    queue.enqueue([submission("a", scheduled_for_ms=clock.now_ms)])
    assert take(queue).names == ["a"]


def test_the_time_to_live_of_a_scheduled_message_begins_with_its_activation(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(default_ttl_ms=100))
    queue.enqueue([submission("a", scheduled_for_ms=clock.now_ms + 150)])
    pass_time(clock, queue, 150)
    pass_time(clock, queue, 99)
    assert take(queue).names == ["a"]


def test_cancelling_is_for_all_or_none(clock: Clock, queue: Queue) -> None:
    later = clock.now_ms + 100
    numbers = queue.enqueue([submission("a", scheduled_for_ms=later), submission("b", scheduled_for_ms=later)])
    with pytest.raises(MessageNotFoundError):
        queue.cancel_scheduled([*numbers, 99])
    assert queue.counts().scheduled == 2
    queue.cancel_scheduled(numbers[:1])
    pass_time(clock, queue, 100)
    assert take(queue, 2).names == ["b"]
    with pytest.raises(MessageNotFoundError):
        queue.cancel_scheduled(numbers[1:])


def test_a_repeated_message_id_is_dropped_within_the_window(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(duplicate_window_ms=100))
    queue.enqueue([submission("a", message_id="1"), submission("b", message_id="2"), submission("c", message_id="1")])
    queue.complete(take(queue).token)
    clock.now_ms += 99
    queue.enqueue([submission("d", message_id="1"), submission("without")])
    clock.now_ms += 1
    queue.enqueue([submission("e", message_id="1")])
    assert take(queue, 9).names == ["b", "without", "e"]


def test_a_batch_with_one_message_too_large_is_refused_whole(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(max_message_bytes=100))
    with pytest.raises(MessageTooLargeError):
        send(queue, "a", "b" * 101)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)


def test_peeking_starts_at_a_number_and_ends_at_a_count(queue: Queue) -> None:
    send(queue, "a", "b", "c", "d")
    take(queue)
    assert [name_of(message) for message in queue.peek(1, 2)] == ["a", "b"]
    assert [name_of(message) for message in queue.peek(3, 9)] == ["c", "d"]


def test_an_emptied_queue_keeps_no_room_for_the_messages_that_it_held(clock: Clock, queue: Queue) -> None:
    before = sys.getsizeof(queue._storage._messages)
    send(queue, *map(str, range(10_000)))

    take(queue, 10_000, deletes=True)
    queue.tick()

    assert sys.getsizeof(queue._storage._messages) == before
