"""The leases of timers, on a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from local.functions_host import timer_store
from local.functions_host.errors import AppLoadError, TimerStoreError
from local.functions_host.schedule_status import ScheduleStatus
from local.functions_host.timer_store import Held, PostgresTimerStore

STATUS = ScheduleStatus(None, datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 11, 24, 17, 3, 2, 123456, tzinfo=UTC))
RUN = ScheduleStatus(STATUS.next, STATUS.next + timedelta(days=365), STATUS.next)


@pytest.fixture(autouse=True)
def _long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease ends but by `let_expire`, and a slow server is waited for."""
    monkeypatch.setattr(timer_store, "LEASE_SECONDS", 600.0)
    monkeypatch.setattr(timer_store, "_CONNECT_SECONDS", 120)


@pytest.fixture
def url(unmigrated_database_url: str) -> str:
    return unmigrated_database_url


@pytest.fixture
def here(url: str) -> Iterator[PostgresTimerStore]:
    with closing(PostgresTimerStore(url, "app")) as store:
        yield store


@pytest.fixture
def there(url: str) -> Iterator[PostgresTimerStore]:
    with closing(PostgresTimerStore(url, "app")) as store:
        yield store


def let_expire(url: str) -> None:
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("UPDATE functions_host.timers SET expires_at = now() - interval '1 second'")


def test_one_host_holds_a_timer_and_the_others_wait(here: PostgresTimerStore, there: PostgresTimerStore) -> None:
    assert here.acquire("timer") == Held(None)
    assert there.acquire("timer") is None
    assert there.acquire("another") == Held(None)


def test_of_hosts_that_start_at_once_on_an_empty_database_one_holds_the_timer(url: str) -> None:
    stores = [PostgresTimerStore(url, "app") for _ in range(8)]
    with ThreadPoolExecutor(len(stores)) as executor:
        held = list(executor.map(lambda store: store.acquire("timer"), stores))
    for store in stores:
        store.close()
    assert sorted(each is not None for each in held) == [False] * 7 + [True]


def test_apps_of_other_names_share_nothing(url: str, here: PostgresTimerStore) -> None:
    assert here.acquire("timer")
    with closing(PostgresTimerStore(url, "other")) as other:
        assert other.acquire("timer") == Held(None)


def test_a_released_timer_is_free_at_once_and_keeps_its_status(
    here: PostgresTimerStore, there: PostgresTimerStore
) -> None:
    here.acquire("timer")
    here.release("timer", RUN)
    assert there.acquire("timer") == Held(RUN)


def test_an_expired_lease_is_acquired_by_another_host_and_its_old_holder_changes_nothing(
    url: str, here: PostgresTimerStore, there: PostgresTimerStore
) -> None:
    here.acquire("timer")
    assert here.keep("timer", STATUS)
    let_expire(url)
    assert there.acquire("timer") == Held(STATUS)
    assert not here.keep("timer", RUN)
    here.release("timer", RUN)
    assert here.acquire("timer") is None
    let_expire(url)
    assert here.acquire("timer") == Held(STATUS)


def test_an_expired_lease_that_no_host_acquired_is_still_its_owners(
    url: str, here: PostgresTimerStore, there: PostgresTimerStore
) -> None:
    here.acquire("timer")
    let_expire(url)
    assert here.keep("timer", STATUS)
    assert there.acquire("timer") is None


def test_a_lost_connection_is_one_error_and_then_a_new_connection(url: str, here: PostgresTimerStore) -> None:
    here.acquire("timer")
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 120000) FROM pg_stat_activity WHERE application_name = 'functions_host'"
        )
    with pytest.raises(TimerStoreError, match="connection"):
        here.keep("timer", STATUS)
    assert here.keep("timer", STATUS)


def test_an_unreachable_database_is_an_error_in_one_line() -> None:
    store = PostgresTimerStore("postgresql://127.0.0.1:1/none", "app")
    with pytest.raises(TimerStoreError, match=r"Connection refused") as error:
        store.acquire("timer")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "a secret",
        "postgresql://me:x@secret@db/app",
        "postgresql://me:x/secret@db/app",
        "postgresql://me:secret",
        "postgresql://me:x%ffsecret@db/app",
    ],
)
def test_a_wrong_connection_string_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(AppLoadError) as error:
        PostgresTimerStore(url, "app")
    assert str(error.value) == "DATABASE_URL is not a connection string of PostgreSQL"
