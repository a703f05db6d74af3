import os
import threading
import time
from collections.abc import Callable

SECONDS_NAME = "LOCKSTEP_TEST_WAIT_SECONDS"
LONG_SECONDS = float(os.environ.get(SECONDS_NAME, "120"))
"""Longer than a busy machine holds anything up. A run of a mutation, which may wait in vain, has less."""


def wait_until(condition: Callable[[], bool], seconds: float = LONG_SECONDS) -> None:
    """Waits for a condition that another thread or process fulfils."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.001)
