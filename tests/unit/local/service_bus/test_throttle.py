"""The credits of a namespace, and how its queues share them."""

import pytest

from local.service_bus.broker.errors import ThrottledError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.broker.throttle import Throttle
from tests.unit.local.service_bus.support import Clock, Taker, pass_time, submission, take

RATE = 10


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(RATE, clock)


@pytest.fixture
def namespace(clock: Clock) -> Namespace:
    return Namespace(clock, credits_per_second=RATE)


@pytest.fixture
def queue(namespace: Namespace) -> Queue:
    return namespace.create_queue("q", QueueSettings())


def send(queue: Queue, number: int) -> None:
    queue.enqueue(submission("x") for _ in range(number))


def test_without_a_limit_nothing_is_throttled(clock: Clock) -> None:
    throttle = Throttle(None, clock)
    throttle.charge(1_000_000_000)
    assert throttle.allowance() > 1_000_000_000


def test_credits_recover_in_proportion_to_time(clock: Clock, throttle: Throttle) -> None:
    throttle.charge(RATE)
    assert throttle.allowance() == 0
    clock.now_ms += 250
    assert throttle.allowance() == 2
    clock.now_ms += 50
    assert throttle.allowance() == 3


def test_unused_credits_are_not_saved(clock: Clock, throttle: Throttle) -> None:
    clock.now_ms += 60_000
    assert throttle.allowance() == RATE


def test_a_send_may_exceed_the_credits_and_the_next_one_waits(clock: Clock, throttle: Throttle) -> None:
    throttle.charge(3 * RATE)
    clock.now_ms += 2_000
    with pytest.raises(ThrottledError):
        throttle.charge(1)
    clock.now_ms += 100
    throttle.charge(1)


def test_a_clock_that_steps_back_takes_no_credits(clock: Clock, throttle: Throttle) -> None:
    clock.now_ms -= 60_000
    assert throttle.allowance() == RATE


def test_a_send_that_is_throttled_stores_nothing(queue: Queue) -> None:
    send(queue, RATE)
    with pytest.raises(ThrottledError):
        send(queue, 1)
    assert queue.counts().active == RATE


def test_deliveries_cost_credits_and_wait_for_them(clock: Clock, queue: Queue) -> None:
    send(queue, RATE)
    taker = Taker(credit=100)
    queue.wait(taker)
    assert taker.taken == []
    pass_time(clock, queue, 300)
    assert len(taker.taken) == 3
    pass_time(clock, queue, 10_000)
    assert len(taker.taken) == RATE


def test_deliveries_use_the_credits_of_sends(clock: Clock, queue: Queue) -> None:
    send(queue, RATE)
    pass_time(clock, queue, 1_000)
    take(queue, RATE)
    with pytest.raises(ThrottledError):
        send(queue, 1)


def test_receiving_a_deferred_message_costs_a_credit(clock: Clock, queue: Queue) -> None:
    [number] = queue.enqueue([submission("x")])
    queue.defer(take(queue).token)
    send(queue, RATE - 3)
    queue.receive_deferred([number], deletes=True)
    with pytest.raises(ThrottledError):
        send(queue, 1)


def test_queues_share_the_credits_of_their_namespace(clock: Clock, namespace: Namespace, queue: Queue) -> None:
    send(queue, RATE)
    with pytest.raises(ThrottledError):
        send(namespace.create_queue("other", QueueSettings()), 1)


def test_queues_take_turns_when_credits_are_short(clock: Clock, namespace: Namespace) -> None:
    queues = [namespace.create_queue(name, QueueSettings()) for name in "ab"]
    send(queues[0], RATE)
    clock.now_ms += 1_000
    send(queues[1], RATE)
    takers = [Taker(credit=RATE) for _ in queues]
    for queue, taker in zip(queues, takers, strict=True):
        queue.wait(taker)
    for _ in range(10):
        clock.now_ms += 100
        namespace.tick()
    assert all(taker.taken for taker in takers)
    assert sum(len(taker.taken) for taker in takers) == RATE
