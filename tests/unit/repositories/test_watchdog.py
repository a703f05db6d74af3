from threading import Event, Thread

import pytest

from repositories.watchdog import Watchdog
from tests.support.waiting import LONG_SECONDS

_WAIT_SECONDS = LONG_SECONDS


def test_a_process_that_was_forked_from_one_with_a_watchdog_has_its_own() -> None:
    watchdog = Watchdog()
    watchdog._thread = Thread()  # as after a fork: it is known, and it does not run
    interrupted = Event()
    with watchdog.watch(0.0, interrupted.set):
        assert interrupted.wait(_WAIT_SECONDS)


def test_a_call_that_could_not_be_watched_is_not_interrupted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection may serve another call by then."""

    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    watchdog, unwatched, watched = Watchdog(), Event(), Event()
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"), watchdog.watch(0.0, unwatched.set):
            raise AssertionError("it is not watched")
    with watchdog.watch(0.0, watched.set):
        assert watched.wait(_WAIT_SECONDS)  # its turn is after that of the other
    assert not unwatched.is_set()
