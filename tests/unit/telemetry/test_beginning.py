"""What a process imports and exports, by its settings alone."""

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import bootstrap
from core.errors import ConfigurationError, DatabaseUnavailableError
from core.telemetry import Telemetry, telemetry, use
from settings import Settings
from telemetry import open_telemetry, wiring
from telemetry.numbers import Numbers
from telemetry.open_telemetry import OpenTelemetry
from tests.support.collector import Collector, collecting
from tests.support.drive import SETTINGS
from tests.support.sample_jobs import TASK_TYPE
from tests.support.waiting import wait_until
from wiring import App

_ROOT = Path(__file__).parents[3]
_REQUIRED = {"DATABASE_URL": SETTINGS.database_url, "ServiceBusConnection": SETTINGS.service_bus_connection or ""}


def run_one_job(**environment: str) -> set[str]:
    """Runs a job in another process; returns the packages that it has imported."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.telemetry.one_job"],
        cwd=_ROOT,
        env={**others, **_REQUIRED, "OTEL_EXPORTER_OTLP_TIMEOUT": "120", **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=240,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
    ],
    ids=["nothing is set", "the host tells Application Insights", "it is disabled"],
)
def test_opentelemetry_is_not_imported_while_telemetry_is_off(environment: dict[str, str]) -> None:
    assert not run_one_job(**environment) & {"opentelemetry", "telemetry", "google"}


def test_a_process_exports_with_one_setting_and_sends_all_before_it_ends() -> None:
    with collecting() as collector:
        assert {"opentelemetry", "telemetry"} <= run_one_job(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    run = collector.span(f"run {TASK_TYPE}")
    assert collector.span("ask a service").parent_id == run.span_id, "the provider is that of the process"
    assert collector.metric("lockstep.tasks", lockstep__task__outcome="completed") == 1
    assert any("is completed" in line.text for line in collector.lines)
    assert _service(collector) == {"local"}


def test_what_is_exported_and_by_what_name_are_settings() -> None:
    with collecting() as collector:
        run_one_job(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_SERVICE_NAME="mine",
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
        )
    assert collector.named(f"run {TASK_TYPE}")
    assert not collector.metrics
    assert not collector.lines
    assert _service(collector) == {"mine"}


def test_spans_may_be_left_out() -> None:
    with collecting() as collector:
        run_one_job(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_EXPORTER="none")
    assert not collector.spans
    assert collector.metrics


def _service(collector: Collector) -> set[str]:
    return {resource["service.name"] for resource in collector.resources}


def test_without_settings_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    bootstrap._begin_telemetry.cache_clear()
    assert bootstrap.telemetry() is telemetry()
    bootstrap._begin_telemetry.cache_clear()


def test_telemetry_that_cannot_begin_keeps_no_app_from_its_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Settings) -> None:
        raise RuntimeError("no certificate")

    for name, value in {**_REQUIRED, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wiring, "begin", fail)
    bootstrap._begin_telemetry.cache_clear()
    assert not bootstrap.telemetry().is_on
    assert "telemetry stays off" in caplog.text
    bootstrap._begin_telemetry.cache_clear()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Telemetry]]:
    """What telemetry was begun with a collector in the settings."""
    begun: list[Telemetry] = []

    def begin(_: Settings) -> Telemetry:
        begun.append(Telemetry())
        return begun[-1]

    for name, value in {**_REQUIRED, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wiring, "begin", begin)
    monkeypatch.setattr(atexit, "register", lambda _: None)
    before = telemetry()
    bootstrap._begin_telemetry.cache_clear()
    yield begun
    bootstrap._begin_telemetry.cache_clear()
    use(before)


def test_a_process_that_is_asked_for_nothing_but_its_application_tells_of_it(
    begun: list[Telemetry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the timer of the sweep, which tells of the backlog."""
    built_with: list[Telemetry] = []

    def build(*_: object) -> App:
        built_with.append(telemetry())
        raise DatabaseUnavailableError("away")

    monkeypatch.setattr(bootstrap, "build", build)
    with pytest.raises(DatabaseUnavailableError):
        bootstrap._Once().get()
    assert built_with == begun
    assert len(begun) == 1


class NoticedLock:
    """A lock that tells how many have asked for it."""

    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.asked += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_of_two_threads_that_come_first_one_begins_telemetry(
    begun: list[Telemetry], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, begin = NoticedLock(), wiring.begin

    def begin_slowly(settings: Settings) -> Telemetry:
        wait_until(lambda: lock.asked == 2)
        return begin(settings)

    monkeypatch.setattr(bootstrap, "_beginning", lock)
    monkeypatch.setattr(wiring, "begin", begin_slowly)
    with ThreadPoolExecutor(2) as threads:
        found = {each.result(120) for each in [threads.submit(bootstrap.telemetry) for _ in range(2)]}
    assert found == set(begun)
    assert len(begun) == 1


def test_the_end_of_a_process_does_not_wait_for_a_silent_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_telemetry, "FLUSH_SECONDS", 0.01)
    never = threading.Event()
    meter = MeterProvider().get_meter("test")
    OpenTelemetry(TracerProvider().get_tracer("test"), Numbers(meter), [lambda _: never.wait()]).flush()
    never.set()


def test_what_can_be_sent_is_sent_though_a_part_cannot(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: int) -> None:
        raise RuntimeError("a callback takes too long")

    flushed: list[int] = []
    meter = MeterProvider().get_meter("test")
    OpenTelemetry(TracerProvider().get_tracer("test"), Numbers(meter), [fail, flushed.append]).flush()
    wait_until(lambda: bool(flushed))  # the flush may be held up for longer than the process waits for it
    assert flushed == [2_000]
    assert "not sent at the end of the process: a callback takes too long" in caplog.text


@pytest.mark.parametrize(
    ("sampler", "fraction"),
    [
        ({}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 0.25),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 0.25),
    ],
)
def test_the_sampler_is_named_as_by_every_sdk(sampler: dict[str, str], fraction: float) -> None:
    assert Settings.from_environment({**_REQUIRED, **sampler}).sampled_fraction == fraction


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:password@collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ],
)
def test_a_wrong_setting_of_telemetry_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as raised:
        Settings.from_environment({**_REQUIRED, name: value})
    assert "password" not in str(raised.value)
