from threading import Event, Thread

from repositories.watchdog import Watchdog

_WAIT_SECONDS = 10


def test_a_process_that_was_forked_from_one_with_a_watchdog_has_its_own() -> None:
    watchdog = Watchdog()
    watchdog._thread = Thread()  # as after a fork: it is known, and it does not run
    interrupted = Event()
    with watchdog.watch(0.0, interrupted.set):
        assert interrupted.wait(_WAIT_SECONDS)
