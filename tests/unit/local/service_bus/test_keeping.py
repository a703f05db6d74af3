"""Deferred messages, duplicate ids, size limits, clearing and restoring."""

import pytest

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.errors import LockLostError, MessageNotFoundError, QueueFullError
from local.service_bus.broker.messages import MessageState
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.support import (
    Clock,
    MemoryJournal,
    dead_letters,
    make_queue,
    pass_time,
    submission,
    take,
)


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return make_queue(clock, QueueSettings())


def send(queue: Queue, *names: str) -> list[int]:
    return queue.enqueue([submission(name) for name in names])


def test_clearing_forgets_everything_and_locks_are_lost(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(duplicate_window_ms=1_000))
    queue.enqueue([submission("locked", message_id="1"), submission("deferred"), submission("there")])
    queue.enqueue([submission("scheduled", scheduled_for_ms=clock.now_ms + 100)])
    taker = take(queue, 2)
    queue.defer(taker.token)
    queue.clear()
    pass_time(clock, queue, 100)
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)
    assert queue.size_bytes() == 0
    assert queue.peek(0, 10) == []
    with pytest.raises(LockLostError):
        queue.complete(taker.taken[0][1])
    assert queue.enqueue([submission("locked", message_id="1")]) == [5]
    assert take(queue, 2).names == ["locked"]


def test_a_queue_takes_no_more_than_its_size_dead_letters_included(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(max_size_bytes=submission("a").content.size_bytes * 2))
    send(queue, "a")
    with pytest.raises(QueueFullError):
        send(queue, "b", "c")
    send(queue, "b")
    queue.dead_letter(take(queue).token, None, None)
    with pytest.raises(QueueFullError):
        send(queue, "c")
    dead_letters(queue).complete(take(dead_letters(queue)).token)
    send(queue, "c")


def test_a_deferred_message_is_found_by_its_number_alone(queue: Queue) -> None:
    [number] = send(queue, "a")
    queue.defer(take(queue).token)
    assert take(queue).names == []
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0, deferred=1)
    [message] = queue.receive_deferred([number], deletes=False)
    assert (message.state, message.delivery_count) == (MessageState.DEFERRED, 0)
    with pytest.raises(MessageNotFoundError):
        queue.receive_deferred([number], deletes=False)
    assert message.lock_token
    queue.abandon(message.lock_token)
    [message] = queue.receive_deferred([number], deletes=True)
    assert message.delivery_count == 1
    assert queue.counts() == QueueCounts("q", 0, 0, 0, 0)


def test_a_message_id_may_be_a_number(clock: Clock) -> None:
    queue = make_queue(clock, QueueSettings(duplicate_window_ms=100))
    queue.enqueue([submission("a", message_id=0), submission("b", message_id=0)])
    queue.enqueue([submission("c"), submission("d"), submission("e", message_id=""), submission("f", message_id="")])
    assert take(queue, 9).names == ["a", "c", "d", "e", "f"]


def test_a_restored_queue_has_lost_its_locks_and_nothing_else(clock: Clock) -> None:
    journal = MemoryJournal()
    queue = Namespace(clock, journal=journal).create_queue("q", QueueSettings())
    send(queue, "abandoned", "deferred", "completed", "locked")
    queue.enqueue([submission("later", scheduled_for_ms=clock.now_ms + 100)])
    (_, abandoned), (_, deferred), (_, completed), _ = take(queue, 4).taken
    queue.abandon(abandoned)
    queue.defer(deferred)
    queue.complete(completed)
    namespace = Namespace(clock, journal=journal)
    again = namespace.create_queue("q", QueueSettings())
    journal.restore(namespace)
    assert again.counts() == QueueCounts("q", active=2, locked=0, scheduled=1, dead_letter=0, deferred=1)
    pass_time(clock, again, 100)
    taken = take(again, 3).taken
    assert [(m.content.bare, m.delivery_count, m.sequence_number) for m, _ in taken] == [
        (b"abandoned", 1, 1),
        (b"locked", 0, 4),
        (b"later", 0, 6),
    ]
    with pytest.raises(LockLostError):
        again.complete(abandoned)
