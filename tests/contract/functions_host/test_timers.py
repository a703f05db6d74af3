"""Timer functions in real hosts, on a real PostgreSQL."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local.functions_host.errors import HostStartError
from local.functions_host.process import HostProcess
from local.functions_host.timer_store import PostgresTimerStore
from local.postgres import EmbeddedPostgres
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until
from tests.contract.functions_host.test_crashes import refuses

TIMER_APP = Path(__file__).parent / "timer_app"
YEARLY = "0 0 1 Jan *"
MAKE_LEASES_LONG = """
CREATE FUNCTION functions_host.make_long() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.expires_at > now() THEN
        NEW.expires_at := now() + interval '10 minutes';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER make_long BEFORE INSERT OR UPDATE ON functions_host.timers
FOR EACH ROW EXECUTE FUNCTION functions_host.make_long()
"""
"""A host that is held up for longer than its leases last loses them."""
EXPIRE = "UPDATE functions_host.timers SET expires_at = now() - interval '1 second'"
EXPIRY = "SELECT expires_at FROM functions_host.timers WHERE function = 'yearly'"
StartHost = Callable[..., HostProcess]
Log = Callable[..., str]


@pytest.fixture
def url(unmigrated_database_url: str) -> str:
    return unmigrated_database_url


@pytest.fixture
def app(tmp_path: Path) -> Path:
    app: Path = shutil.copytree(TIMER_APP, tmp_path / "app")
    shutil.copy(SAMPLE_APP / "recording.py", app)
    return app


@pytest.fixture
def start_host(app: Path, events: Events, url: str, tmp_path: Path) -> Iterator[StartHost]:
    """Starts a host of the timer app; its log is NAME.log in tmp_path."""
    started: list[HostProcess] = []

    def start(name: str = "host", **env: str) -> HostProcess:
        settings = {"EVENTS_FILE": str(events.file), "HOST_NAME": name, "INTERVAL": "00:00:01", "DATABASE_URL": url}
        host = HostProcess.start(app, env=settings | env, log_file=tmp_path / f"{name}.log")
        started.append(host)
        return host

    yield start
    for host in started:
        host.kill()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Reads the log of a host."""

    def read(name: str = "host") -> str:
        return (tmp_path / f"{name}.log").read_text()

    return read


def query(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


def miss_new_year(start_host: StartHost, url: str, log: Log) -> None:
    """Lets a host store the status of its timers, then changes it so that the yearly timers have missed a run."""
    host = start_host("earlier")
    held = [f"Timer {name} runs on this host" for name in ("yearly", "unmonitored")]
    wait_until(lambda: all(line in log("earlier") for line in held), "it holds the timers")
    host.stop()
    query(
        url,
        "UPDATE functions_host.timers SET last_updated = '2020-05-05 00:00+00', next = '2021-01-01 00:00+00' "
        "WHERE function IN ('yearly', 'unmonitored')",
    )


@pytest.fixture
def _long_leases(url: str) -> None:
    """Leases end by a release or by `EXPIRE`, and not while their host is held up."""
    with closing(PostgresTimerStore(url, "another app")) as store:
        store.acquire("any")  # creates the table
    query(url, MAKE_LEASES_LONG)


def next_new_year() -> str:
    return f"{datetime.now(UTC).year + 1}-01-01T00:00:00+00:00"


def hosts_of(starts: list[dict[str, Any]]) -> list[str]:
    return [start["host"] for start in starts]


def test_a_timer_runs_again_and_again_but_not_more_often_than_it_is_due(
    start_host: StartHost, events: Events, log: Log
) -> None:
    start_host()
    ticks = wait_until(lambda: events.starts("every_second")[3:] and events.starts("every_second"), "it ran 4 times")
    assert ticks[3]["time"] - ticks[0]["time"] > 1  # the first run may have been late
    runs = wait_until(lambda: events.starts("interval")[3:] and events.starts("interval"), "it ran 4 times")
    assert runs[3]["time"] - runs[0]["time"] > 2  # each interval counts from the previous run
    assert "Executed 'every_second' (Succeeded, Id=" in log()


def test_a_timer_request_of_a_frequent_schedule_has_no_status(start_host: StartHost, events: Events) -> None:
    start_host()
    tick = wait_until(lambda: events.starts("every_second"), "it ran")[0]
    assert (tick["past_due"], tick["schedule_status"], tick["schedule"]) == (False, {}, {"AdjustForDST": True})
    run = wait_until(lambda: events.starts("interval"), "it ran")[0]
    assert (run["past_due"], run["schedule_status"], run["schedule"]) == (False, {}, {"AdjustForDST": False})


def test_run_on_startup_runs_once_at_the_start_with_the_status_of_a_timer_that_never_ran(
    start_host: StartHost, events: Events
) -> None:
    start_host()
    (start,) = wait_until(lambda: events.starts("at_startup"), "it ran")
    assert start["past_due"] is False
    assert start["schedule_status"]["Last"] == "0001-01-01T00:00:00+00:00"
    assert start["schedule_status"]["Next"] == next_new_year()
    assert datetime.fromisoformat(start["schedule_status"]["LastUpdated"]).timestamp() <= start["time"]
    wait_until(lambda: events.starts("every_second")[1:], "time passes")
    assert len(events.starts("at_startup")) == 1
    assert events.starts("yearly") == []


def test_runs_never_overlap_and_occurrences_missed_during_a_run_cause_one_run(
    start_host: StartHost, events: Events
) -> None:
    start_host()
    wait_until(lambda: events.starts("gated"), "it runs")
    wait_until(lambda: events.starts("every_second")[3:], "some seconds pass")
    assert len(events.starts("gated")) == 1
    events.open_gate("open")
    runs = wait_until(lambda: events.starts("gated")[5:] and events.starts("gated"), "it runs again and again")
    assert events.ends("gated")[0]["time"] <= runs[1]["time"]
    assert runs[5]["time"] - runs[1]["time"] > 2  # the missed seconds do not each cause a run
    assert not any(run["past_due"] for run in runs)


def test_a_stop_waits_for_the_run_and_frees_the_timer(
    start_host: StartHost, events: Events, url: str, log: Log
) -> None:
    host = start_host()
    wait_until(lambda: events.starts("gated"), "it runs")
    with ThreadPoolExecutor() as executor:
        stopped = executor.submit(host.stop)
        wait_until(lambda: "Stopping" in log(), "the host stops")
        wait_until(lambda: refuses(host), "no timer fires any more")
        events.open_gate("open")
        stopped.result()
    assert len(events.ends("gated")) == len(events.starts("gated")) == 1
    assert query(url, "SELECT bool_and(expires_at <= now()) FROM functions_host.timers") == [(True,)]


@pytest.mark.usefixtures("_long_leases")
def test_of_two_hosts_one_runs_the_timers_and_releases_them_at_its_stop(
    start_host: StartHost, events: Events, log: Log
) -> None:
    events.open_gate("open")
    first = start_host("first")
    wait_until(lambda: events.starts("every_second"), "the first runs it")
    start_host("second")
    wait_until(lambda: "Timer every_second runs on another host" in log("second"), "the second does not run it")
    seen = len(events.starts("every_second"))
    wait_until(lambda: events.starts("every_second")[seen + 2 :], "the first continues")
    assert set(hosts_of(events.starts("every_second"))) == {"first"}
    assert hosts_of(events.starts("at_startup")) == ["first"]

    first.stop()
    before = len(events.starts("every_second"))
    wait_until(lambda: events.starts("every_second")[before + 2 :], "the second continues")
    assert set(hosts_of(events.starts("every_second")[before:])) == {"second"}


def test_apps_that_share_a_database_under_other_host_ids_run_their_own_timers(
    start_host: StartHost, events: Events
) -> None:
    for name in ("first", "second"):
        start_host(name, AzureFunctionsWebHost__hostid=name)
    wait_until(lambda: set(hosts_of(events.starts("every_second"))) == {"first", "second"}, "both run it")


@pytest.mark.usefixtures("_long_leases")
def test_another_host_repeats_the_run_that_a_killed_host_broke_off(
    start_host: StartHost, events: Events, url: str, log: Log
) -> None:
    miss_new_year(start_host, url, log)
    first = start_host("first", YEARLY_GATE="never")
    wait_until(lambda: events.starts("yearly"), "the first runs it")
    start_host("second")
    wait_until(lambda: "Timer yearly runs on another host" in log("second"), "the second waits")
    began = query(url, EXPIRY)
    wait_until(lambda: query(url, EXPIRY) > began, "the lease is renewed during the run")
    assert hosts_of(events.starts("yearly")) == ["first"]
    assert {start["host"] for start in events.starts("every_second")[-2:]} == {"first"}

    os.kill(first.pid, signal.SIGKILL)
    query(url, EXPIRE)
    wait_until(lambda: events.ends("yearly"), "the second runs it to its end")
    assert [(start["host"], start["past_due"]) for start in events.starts("yearly")] == [
        ("first", True),
        ("second", True),
    ]
    wait_until(lambda: "second" in hosts_of(events.starts("every_second")), "the other timers follow")


def test_an_occurrence_missed_while_no_host_ran_runs_once_as_past_due(
    start_host: StartHost, events: Events, url: str, log: Log
) -> None:
    miss_new_year(start_host, url, log)
    assert events.starts("yearly") == []
    second = start_host("second")
    (start,) = wait_until(lambda: events.ends("yearly") and events.starts("yearly"), "it ran")
    second.stop()
    assert start["past_due"] is True
    assert start["schedule_status"] == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2021-01-01T00:00:00+00:00",
        "LastUpdated": "2020-05-05T00:00:00+00:00",
    }
    start_host("third")
    wait_until(lambda: "Timer unmonitored runs on this host" in log("third"), "the third has read the status")
    wait_until(lambda: "third" in hosts_of(events.starts("every_second")), "time goes by")
    assert hosts_of(events.starts("yearly")) == ["second"]
    assert events.starts("unmonitored") == []


def test_without_a_database_a_host_runs_its_timers_alone_and_logs_it(
    start_host: StartHost, events: Events, log: Log
) -> None:
    start_host(DATABASE_URL="")
    wait_until(lambda: events.starts("every_second")[1:], "it runs")
    assert log().count("DATABASE_URL is not set") == 1


def test_an_outage_of_the_database_pauses_the_timers_and_is_logged_once(
    start_host: StartHost, events: Events, url: str, postgres: EmbeddedPostgres, log: Log
) -> None:
    events.open_gate("open")
    start_host()
    wait_until(lambda: events.starts("every_second")[1:], "it runs")
    name = url.rsplit("/", 1)[1].partition("?")[0]
    administrator = postgres.url("postgres")
    query(administrator, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    query(administrator, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", name)
    gone = time.time()
    wait_until(lambda: "The database of the timers cannot be reached" in log(), "the host says so")
    wait_until(lambda: time.time() > gone + 4, "time goes by")
    ran = len(events.starts("every_second"))
    # A run that was due before may have begun late; each further one needs the database.
    assert sum(start["time"] > gone for start in events.starts("every_second")) <= 1

    query(administrator, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    wait_until(lambda: events.starts("every_second")[ran + 1 :], "it runs again")
    wait_until(lambda: "The database of the timers is reachable again" in log(), "the host says so")
    assert log().count("The database of the timers cannot be reached") == 1
    assert len(events.starts("at_startup")) == 1


def test_a_host_that_starts_before_its_database_runs_its_timers_once_it_is_reachable(
    start_host: StartHost, events: Events, url: str, postgres: EmbeddedPostgres, log: Log
) -> None:
    name = url.rsplit("/", 1)[1].partition("?")[0]
    administrator = postgres.url("postgres")
    query(administrator, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    start_host()
    wait_until(lambda: "The database of the timers cannot be reached" in log(), "the host says so")
    assert events.all() == []
    query(administrator, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    wait_until(lambda: events.starts("every_second"), "it runs")


def test_a_function_that_raises_runs_again_at_its_next_occurrence(
    start_host: StartHost, events: Events, app: Path, log: Log
) -> None:
    function_app = app / "function_app.py"
    code = function_app.read_text().replace(f'"{YEARLY}", run_on_startup=True', '"* * * * * *"')
    function_app.write_text(f"{code}    raise ValueError('as ordered')\n")
    start_host()
    wait_until(lambda: events.starts("at_startup")[1:], "it runs again")
    assert "Executed 'at_startup' (Failed, Id=" in log()


def test_the_list_of_functions_has_the_schedules_and_precedes_the_log_of_the_timers(
    start_host: StartHost, log: Log
) -> None:
    start_host(INTERVAL="00:00:42")
    wait_until(lambda: "runs on this host" in log(), "the timers start")
    listed, _, _ = log().partition("runs on this host")
    assert "  every_second: timerTrigger * * * * * *\n" in listed
    assert "  interval: timerTrigger 00:00:42\n" in listed


def test_a_wrong_schedule_is_refused_with_the_name_of_its_function(start_host: StartHost) -> None:
    with pytest.raises(HostStartError, match="function interval: the schedule 'often' is wrong: it has 1 fields"):
        start_host(INTERVAL="often")


def test_a_schedule_whose_setting_is_missing_is_refused(app: Path) -> None:
    with pytest.raises(HostStartError, match="function interval: '%INTERVAL%' does not resolve"):
        HostProcess.start(app)
