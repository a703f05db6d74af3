"""A trial is played again only if the log shows that a call exceeded its limit before the strike."""

import pickle
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing

import pytest
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusConnectionError

from core.errors import LockstepError
from repositories import service_bus
from repositories.broker_calls import BrokerCalls
from repositories.pool import ConnectionPool
from repositories.ports import TransactionKind
from repositories.postgres import PostgresDatabase
from repositories.transaction_limits import TransactionLimits
from tests.faults.crash import matrix
from tests.faults.crash.broken_stories import (
    KilledError,
    LifeError,
    OtherCourseError,
    RestlessError,
    StoryError,
    UnplayedError,
    is_unplayed,
    most_played_again,
    played,
)
from tests.faults.crash.matrix import Case
from tests.faults.crash.points import Point
from tests.faults.crash.trials import Outcome

_LIMIT = "sweeper: waiting for an outage to end: canceling statement due to statement timeout\n"
_CASE = Case("a scenario", (Point("f", "p", "commit", "after"),), 1, (), 1.0)


class _Connection:
    def cut(self) -> None:
        pass

    def close(self) -> None:
        pass


def _statement(database_url: str, wait: str, **limits: float) -> None:
    of_all = dict.fromkeys(TransactionKind, TransactionLimits(**limits))
    with (
        closing(PostgresDatabase(ConnectionPool(database_url, size=2), of_all)) as database,
        database.transaction() as work,
    ):
        rows = work.repository(lambda rows: rows)
        if wait == "lock":
            rows.one("SELECT pg_advisory_xact_lock(17)")
            with database.transaction() as other:
                other.repository(lambda rows: rows).one("SELECT pg_advisory_xact_lock(17)")
        elif wait == "idle":
            rows.one("SELECT 1 AS one")
            while True:  # until PostgreSQL has ended the transaction
                time.sleep(limits["idle_seconds"] * 4)
                rows.one("SELECT 1 AS one")
        rows.one("SELECT pg_sleep(60)")


def _send_in_vain(database_url: str) -> None:
    with closing(BrokerCalls()) as calls:
        calls.run(lambda: threading.Event().wait(1), _Connection(), 0.01)


def _refuse_in_time(database_url: str) -> None:
    raise service_bus._translate("sb-tasks", OperationTimeoutError(message="the link is slow"))


def _open_no_link(database_url: str) -> None:
    raise OperationTimeoutError(message="the link is slow")


_EXCEEDED: dict[str, Callable[[str], None]] = {
    "a statement": lambda url: _statement(url, "statement", statement_seconds=0.05),
    "a lock": lambda url: _statement(url, "lock", lock_seconds=0.05),
    "a pause": lambda url: _statement(url, "idle", idle_seconds=0.05),
    "a send": _send_in_vain,
    "a send that the client gives up": _refuse_in_time,
    "a call of the story's own client": _open_no_link,
}


@pytest.mark.parametrize("call", _EXCEEDED)
def test_a_story_in_which_a_call_exceeded_its_limit_is_unplayed(call: str, database_url: str) -> None:
    with pytest.raises((LockstepError, OperationTimeoutError)) as caught:
        _EXCEEDED[call](database_url)
    logs = ["".join(traceback.format_exception(caught.value))]
    if isinstance(caught.value, LockstepError):  # the app logs some errors by their text
        logs.append(f"MainThread engine: waiting for an outage to end: {caught.value}\n")
    for log in logs:
        assert is_unplayed(LifeError("a process ended with 256", log), is_struck=False)
        assert is_unplayed(OtherCourseError("life 2 does not pass it", log), is_struck=False)


_NO_LIMITS = {
    "nothing": "",
    "an error of the engine": "Traceback (most recent call last):\n  File: raise\nKeyError: 'LockTimeoutError'\n",
    "a deadlock": "core.errors.services.TransactionConflictError: deadlock detected\n",
    "a cancellation": "core.errors.services.DatabaseError: canceling statement due to user request\n",
    "a refusal": str(service_bus._translate("sb-tasks", ServiceBusConnectionError(message="no right"))) + "\n",
    "a slow link": "MainThread tests.faults.crash.host: a link is slow to open\n",
    "a condition": "AssertionError: it never came true\n",
}


@pytest.mark.parametrize("log", _NO_LIMITS.values(), ids=_NO_LIMITS)
def test_any_other_end_is_a_violation(log: str) -> None:
    assert not is_unplayed(LifeError("a process ended with 256", log), is_struck=False)
    assert not is_unplayed(OtherCourseError("life 2 does not pass it", log), is_struck=False)


@pytest.mark.parametrize("kind", [LifeError, OtherCourseError])
def test_what_a_strike_leads_to_is_a_violation_whatever_the_log_shows(kind: type[StoryError]) -> None:
    assert not is_unplayed(kind("a process ended with 256", _LIMIT), is_struck=True)


@pytest.mark.parametrize("kind", [KilledError, RestlessError])
def test_a_process_that_hangs_and_a_story_without_an_end_are_violations(kind: type[StoryError]) -> None:
    assert not is_unplayed(kind("it does not come to rest", _LIMIT), is_struck=False)


def test_the_strike_may_come_while_the_story_is_played() -> None:
    strikes: list[str] = []

    def play() -> None:
        with played(lambda: bool(strikes)):
            raise LifeError("a process ended with 256", _LIMIT)

    with pytest.raises(UnplayedError, match="statement timeout"):
        play()
    strikes.append("a kill")
    with pytest.raises(LifeError):
        play()


def test_an_error_of_a_recording_reaches_the_test_with_its_log() -> None:
    error = pickle.loads(pickle.dumps(LifeError("a process ended with 256", _LIMIT)))
    assert (type(error), str(error)) == (LifeError, f"a process ended with 256:\n{_LIMIT}")


class _Played:
    """Trials that end one after the other as told."""

    def __init__(self, *ends: Exception | Outcome) -> None:
        self.ends = list(ends)

    def __call__(self, scenario: str, size: int) -> "_Played":
        return self

    def kill(self, points: object, passing: int) -> Outcome:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


_HELD, _UNPLAYED = Outcome(1, (), 0.0, 2), UnplayedError("a limit")


@pytest.mark.parametrize(
    ("ends", "kills", "violations", "played_again"),
    [
        ([_UNPLAYED, _HELD], 1, (), 1),
        ([_UNPLAYED, _UNPLAYED, _HELD], 1, (), 2),
        ([_UNPLAYED, _UNPLAYED, _UNPLAYED, _HELD], 0, ("UnplayedError: a limit",), 2),
        ([LifeError("it ended", "KeyError"), _HELD], 0, ("LifeError: it ended:\nKeyError",), 0),
        ([RestlessError("no rest", _LIMIT), _HELD], 0, (f"RestlessError: no rest:\n{_LIMIT}",), 0),
    ],
)
def test_a_kill_is_tried_again_twice_at_most_and_each_time_is_counted(
    ends: list[Exception | Outcome],
    kills: int,
    violations: tuple[str, ...],
    played_again: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matrix, "_trial", _Played(*ends))
    outcome = matrix.kill(_CASE, 1)
    assert (outcome.kills, outcome.violations, outcome.played_again) == (kills, violations, played_again)


def test_more_than_a_tenth_of_the_trials_must_not_be_played_again() -> None:
    assert [most_played_again(trials) for trials in (1, 30, 1_132)] == [3, 3, 113]
