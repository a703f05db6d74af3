"""What a request for the health costs while a part is silent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from core.errors import QueueTimeoutError
from engine.process.health_probe import ANSWER_SECONDS, MAX_AGE_SECONDS, HealthProbe
from tests.support.waiting import wait_until


class Part:
    """A part of an app that answers when a test allows it."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.checks = 0
        self.in_flight = 0

    def __call__(self) -> str:
        self.checks += 1
        self.in_flight += 1
        assert self.in_flight == 1
        self.may_answer.wait(250)
        self.in_flight -= 1
        return "ok"


@pytest.fixture
def silent() -> Iterator[Part]:
    part = Part()
    yield part
    part.may_answer.set()


def answering() -> str:
    return "ok"


def test_a_silent_part_is_named_and_the_others_are_told(silent: Part) -> None:
    probe = HealthProbe({"silent": silent, "other": answering}, answer_seconds=0.05)
    # The thread of the other may be held up for longer than that.
    wait_until(lambda: probe.outcomes() == {"silent": "no answer", "other": "ok"})


def test_many_requests_share_one_check(silent: Part) -> None:
    probe = HealthProbe({"silent": silent}, answer_seconds=0.05, max_age_seconds=0)
    with ThreadPoolExecutor(32) as callers:
        assert {str(answer) for answer in callers.map(lambda _: probe.outcomes(), range(32))} == {
            "{'silent': 'no answer'}"
        }
    wait_until(lambda: silent.checks == 1)


def test_requests_that_come_late_do_not_wait(silent: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only the test moves: a request that waited would wait for 600 s."""
    now = [0.0]
    monkeypatch.setattr("engine.process.probe.time", SimpleNamespace(monotonic=lambda: now[-1]))
    probe = HealthProbe({"silent": silent}, answer_seconds=600, max_age_seconds=0)
    probe.begin()
    now.append(600.0)
    with ThreadPoolExecutor(1) as caller:
        late = caller.submit(lambda: [probe.outcomes() for _ in range(200)])
        try:
            assert late.result(120) == [{"silent": "no answer"}] * 200
        finally:
            silent.may_answer.set()
    wait_until(lambda: silent.checks == 1)


def test_a_part_that_answers_again_is_usable_without_another_check_meanwhile(silent: Part) -> None:
    probe = HealthProbe({"silent": silent}, answer_seconds=0.05)
    assert probe.outcomes() == {"silent": "no answer"}
    silent.may_answer.set()
    wait_until(lambda: probe.outcomes() == {"silent": "ok"})
    assert silent.checks == 1


def test_an_outcome_is_used_again_until_it_is_too_old(silent: Part) -> None:
    silent.may_answer.set()
    for max_age_seconds, checks in ((600.0, 1), (0.0, 3)):
        silent.checks = 0
        probe = HealthProbe({"part": silent}, max_age_seconds, answer_seconds=120)
        assert [probe.outcomes() for _ in range(3)] == [{"part": "ok"}] * 3
        assert silent.checks == checks


def test_an_error_is_named_by_its_class_alone() -> None:
    def fail() -> str:
        raise QueueTimeoutError("sb.internal")

    def break_down() -> str:
        raise ValueError("a secret")

    assert HealthProbe({"broker": fail, "other": break_down}, answer_seconds=120).outcomes() == {
        "broker": "QueueTimeoutError",
        "other": "error",
    }


def test_a_system_without_threads_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert HealthProbe({"part": answering}).outcomes() == {"part": "no answer"}


def test_an_answer_takes_less_than_two_seconds_and_is_a_few_seconds_old() -> None:
    assert ANSWER_SECONDS <= 1.5
    assert MAX_AGE_SECONDS <= 5
