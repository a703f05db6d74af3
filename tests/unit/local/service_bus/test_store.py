from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from local.service_bus.broker.errors import EntityNotFoundError
from local.service_bus.broker.journal import JournalError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.store import Store, StoreError
from tests.unit.local.service_bus.support import Clock, submission, take

PLAIN = QueueSettings(max_delivery_count=3, default_ttl_ms=60_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path)) as store:
        yield store


def reopened(store: Store, path: Path, *configured: str) -> Namespace:
    """The namespace that a later process restores, in which the `configured` queues already exist."""
    store.close()
    namespace = Namespace(Clock())
    for name in configured:
        namespace.create_queue(name, PLAIN)
    with closing(Store(path)) as again:
        again.restore(namespace)
    return namespace


def namespace_on(store: Store) -> Namespace:
    namespace = Namespace(Clock(), journal=store)
    store.restore(namespace)
    return namespace


def test_entities_made_while_running_are_there_again(store: Store, path: Path) -> None:
    namespace = namespace_on(store)
    namespace.create_queue("q", QueueSettings(lock_duration_ms=7_000, requires_session=True))
    namespace.create_topic("t", PLAIN)
    namespace.create_subscription("t", "s", PLAIN)
    namespace.commit()
    later = reopened(store, path)
    assert later.find("q").settings == QueueSettings(lock_duration_ms=7_000, requires_session=True)
    later.find("t").enqueue([submission("a")])
    assert take(later.find("t/Subscriptions/s")).names == ["a"]


def test_a_deleted_entity_is_gone_with_its_messages(store: Store, path: Path) -> None:
    namespace = namespace_on(store)
    namespace.create_queue("q", PLAIN).enqueue([submission("a")])
    namespace.commit()
    namespace.delete("q")
    namespace.commit()
    later = reopened(store, path)
    with pytest.raises(EntityNotFoundError):
        later.find("q")
    later.create_queue("q", PLAIN)
    assert take(later.find("q")).names == []


def test_uncommitted_changes_are_lost(store: Store, path: Path) -> None:
    namespace = namespace_on(store)
    queue = namespace.create_queue("q", PLAIN)
    queue.enqueue([submission("kept")])
    namespace.commit()
    queue.enqueue([submission("lost")])
    assert take(reopened(store, path).find("q"), 2).names == ["kept"]


def test_a_message_that_came_and_went_between_commits_leaves_nothing(store: Store, path: Path) -> None:
    namespace = namespace_on(store)
    queue = namespace.create_queue("q", PLAIN)
    queue.enqueue([submission("a")])
    queue.complete(take(queue).token)
    namespace.commit()
    later = reopened(store, path).find("q")
    assert take(later).names == []
    assert later.enqueue([submission("b")]) == [2]


def test_a_file_that_cannot_be_written_loses_nothing_and_is_tried_again(store: Store, path: Path) -> None:
    namespace = namespace_on(store)
    queue = namespace.create_queue("q", PLAIN)
    namespace.commit()
    [pages] = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    queue.enqueue([submission("x" * 10_000)])
    with pytest.raises(JournalError, match="is full"):
        namespace.commit()
    store._connection.execute("PRAGMA max_page_count = 1000000")
    namespace.commit()
    assert take(reopened(store, path).find("q")).names == ["x" * 10_000]


def test_an_entity_of_the_configuration_keeps_its_settings_and_gets_its_messages(store: Store, path: Path) -> None:
    namespace = namespace_on(store)
    namespace.create_queue("q", QueueSettings(max_delivery_count=9)).enqueue([submission("a")])
    namespace.commit()
    queue = reopened(store, path, "q").find("q")
    assert queue.settings == PLAIN
    assert take(queue).names == ["a"]


def test_messages_without_a_session_are_dead_lettered_when_the_queue_requires_sessions_now(
    store: Store, path: Path
) -> None:
    namespace = namespace_on(store)
    namespace.create_queue("q", PLAIN).enqueue([submission("a")])
    namespace.commit()
    store.close()
    later = Namespace(Clock())
    queue = later.create_queue("q", QueueSettings(requires_session=True))
    with closing(Store(path)) as again:
        again.restore(later)
    assert queue.counts().dead_letter == 1


def test_a_data_file_of_another_format_is_refused(store: Store, path: Path) -> None:
    store._connection.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="its format is 99, not 1"):
        Store(path)
