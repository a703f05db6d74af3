import pytest

from local.service_bus.broker.errors import EntityExistsError, EntityNotFoundError, NotAllowedError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import QueueSettings
from tests.unit.local.service_bus.support import (
    Clock,
    MemoryJournal,
    SessionTaker,
    Taker,
    dead_letters,
    make_session_queue,
    name_of,
    submission,
    take,
)

SETTINGS = QueueSettings()
ADDRESSES = ["t", "t/$deadletterqueue", "t/subscriptions/s", "t/subscriptions/s/$deadletterqueue"]


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def namespace(clock: Clock, journal: MemoryJournal) -> Namespace:
    return Namespace(clock, journal=journal)


@pytest.fixture
def subscription(namespace: Namespace) -> Queue:
    namespace.create_topic("t", SETTINGS)
    return namespace.create_subscription("t", "s", SETTINGS)


def send(queue: Queue, *names: str) -> None:
    queue.enqueue([submission(name) for name in names])


@pytest.mark.parametrize(
    "address",
    ["Orders", "orders", "/orders/", "amqps://localhost:5672/orders", "sb://host/Orders", "amqp://host/%6Frders"],
)
def test_a_queue_is_found_however_its_address_is_written(namespace: Namespace, address: str) -> None:
    queue = namespace.create_queue("Orders", SETTINGS)
    assert namespace.find(address) is queue
    assert namespace.find(address.rstrip("/") + "/$DeadLetterQueue") is queue.dead_letters


def test_an_unknown_address_is_not_found(namespace: Namespace, subscription: Queue) -> None:
    for address in [
        "",
        "other",
        "t/subscriptions",
        "t/subscriptions/other",
        "s",
        "t/$deadletterqueue/$deadletterqueue",
    ]:
        with pytest.raises(EntityNotFoundError):
            namespace.find(address)
        with pytest.raises(EntityNotFoundError):
            namespace.delete(address)


def test_a_name_can_be_used_once(namespace: Namespace, subscription: Queue) -> None:
    namespace.create_queue("q", SETTINGS)
    for name in ["Q", "t"]:
        with pytest.raises(EntityExistsError):
            namespace.create_queue(name, SETTINGS)
        with pytest.raises(EntityExistsError):
            namespace.create_topic(name, SETTINGS)
    with pytest.raises(EntityExistsError):
        namespace.create_subscription("t", "S", SETTINGS)


def test_a_subscription_needs_a_topic(namespace: Namespace) -> None:
    namespace.create_queue("q", SETTINGS)
    for topic in ["q", "other"]:
        with pytest.raises(EntityNotFoundError):
            namespace.create_subscription(topic, "s", SETTINGS)


def test_a_subscription_is_called_after_its_topic(namespace: Namespace, subscription: Queue) -> None:
    assert subscription.name == "t/Subscriptions/s"
    assert namespace.find("T/subscriptions/S") is subscription
    assert dead_letters(subscription).name == "t/Subscriptions/s/$deadletterqueue"


def test_only_a_topic_takes_messages_for_its_subscriptions(namespace: Namespace, subscription: Queue) -> None:
    with pytest.raises(NotAllowedError):
        send(subscription, "a")
    with pytest.raises(NotAllowedError):
        dead_letters(subscription).check_open()
    send(namespace.find("t"), "a")
    assert take(subscription).names == ["a"]


def test_entities_with_sessions_are_queues_of_sessions(namespace: Namespace, subscription: Queue) -> None:
    sessions = QueueSettings(requires_session=True)
    assert isinstance(namespace.create_queue("q", sessions), SessionQueue)
    assert isinstance(namespace.create_subscription("t", "with", sessions), SessionQueue)
    assert not isinstance(namespace.find("q/$deadletterqueue"), SessionQueue)


def test_a_message_without_a_session_is_a_dead_letter_of_a_subscription_with_sessions(
    namespace: Namespace, subscription: Queue
) -> None:
    with_sessions = namespace.create_subscription("t", "with", QueueSettings(requires_session=True))
    send(namespace.find("t"), "a")
    assert take(subscription).names == ["a"]
    [(message, _)] = take(dead_letters(with_sessions)).taken
    assert message.dead_letter
    assert message.dead_letter.reason == "Session ID is null"


def test_deleting_a_topic_deletes_its_subscriptions(namespace: Namespace, subscription: Queue) -> None:
    namespace.create_queue("q", SETTINGS)
    gone = namespace.delete("t")
    assert sorted(queue.name.lower() for queue in gone) == ADDRESSES
    for address in ADDRESSES:
        with pytest.raises(EntityNotFoundError):
            namespace.find(address)
    assert [counts.name for counts in namespace.counts()] == ["q"]


def test_a_deleted_subscription_leaves_its_topic_and_the_others(namespace: Namespace, subscription: Queue) -> None:
    other = namespace.create_subscription("t", "other", SETTINGS)
    assert namespace.delete("t/subscriptions/s") == [subscription, subscription.dead_letters]
    send(namespace.find("t"), "a")
    assert take(other).names == ["a"]
    assert subscription.counts().active == 0
    assert [counts.name for counts in namespace.counts()] == ["t", "t/Subscriptions/other"]


def test_a_dead_letter_queue_is_not_deleted_by_itself(namespace: Namespace, subscription: Queue) -> None:
    with pytest.raises(EntityNotFoundError):
        namespace.delete("t/subscriptions/s/$deadletterqueue")
    assert namespace.find("t/subscriptions/s/$deadletterqueue") is subscription.dead_letters


def test_an_entity_that_is_created_again_is_empty_and_so_is_the_journal(
    namespace: Namespace, subscription: Queue, journal: MemoryJournal
) -> None:
    send(namespace.find("t"), "a", "b")
    subscription.dead_letter(take(subscription).token, None, None)
    namespace.delete("t")
    assert not any(journal.messages.values())
    namespace.create_topic("t", SETTINGS)
    again = namespace.create_subscription("t", "s", SETTINGS)
    assert again.counts().active == again.counts().dead_letter == 0


def test_deleting_a_queue_removes_its_session_states_from_the_journal(
    namespace: Namespace, journal: MemoryJournal
) -> None:
    queue = make_session_queue(namespace, SETTINGS)
    queue.accept("a", SessionTaker())
    queue.set_session_state("a", b"1")
    assert journal.states == {"q": {"a": b"1"}}
    namespace.delete("q")
    assert not any(journal.states.values())


def test_clearing_empties_every_queue(namespace: Namespace, subscription: Queue, journal: MemoryJournal) -> None:
    queue = namespace.create_queue("q", SETTINGS)
    send(queue, "a", "b")
    queue.dead_letter(take(queue).token, None, None)
    send(namespace.find("t"), "a")
    namespace.clear()
    assert {(counts.active, counts.dead_letter) for counts in namespace.counts()} == {(0, 0)}
    assert not any(journal.messages.values())


def test_a_tick_reaches_every_queue(clock: Clock, namespace: Namespace, subscription: Queue) -> None:
    queue = namespace.create_queue("q", SETTINGS)
    for entity in [queue, namespace.find("t")]:
        entity.enqueue([submission("later", scheduled_for_ms=clock.now_ms + 100)])
    takers = [(subscription, Taker(1)), (queue, Taker(1))]
    for entity, taker in takers:
        entity.wait(taker)
    clock.now_ms += 100
    namespace.tick()
    assert [taker.names for _, taker in takers] == [["later"], ["later"]]


def test_the_messages_of_a_topic_live_as_long_as_the_stricter_of_both_says(clock: Clock, namespace: Namespace) -> None:
    topic = namespace.create_topic("t", QueueSettings(default_ttl_ms=200))
    for name, ttl_ms in [("short", 100), ("long", 300)]:
        namespace.create_subscription("t", name, QueueSettings(default_ttl_ms=ttl_ms))
    send(topic, "a")
    held = [namespace.find(f"t/subscriptions/{name}") for name in ("short", "long")]
    clock.now_ms += 100
    assert [[name_of(message) for message in queue.peek(0, 9)] for queue in held] == [[], ["a"]]
    clock.now_ms += 100
    assert held[1].peek(0, 9) == []
