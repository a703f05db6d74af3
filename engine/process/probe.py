"""Checks parts of the world for many requests at once, so that they cost little and none waits for a silent part."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Probe(Generic[T]):
    """Runs one check of each part at a time, each in a thread of its own; safe to use from several threads.

    Requests share the check in flight. A request waits until the check is `answer_seconds` old; a request that comes
    later does not wait. While a check hangs, no other check of its part begins.

    Args:
        checks: by the name of the part: returns its outcome.
        no_answer: the outcome of a check that has not ended.
        failed: returns the outcome of a check that has raised, by the name of its part and the error.
        max_age_seconds: how long the outcome of a check is used again.
        answer_seconds: how long a check may take before its outcome is `no_answer`.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], T]],
        no_answer: T,
        failed: Callable[[str, Exception], T],
        max_age_seconds: float,
        answer_seconds: float,
    ) -> None:
        self._checks = dict(checks)
        self._no_answer = no_answer
        self._failed = failed
        self._max_age_seconds = max_age_seconds
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._latest: dict[str, _Check[T]] = {}

    def begin(self) -> Mapping[str, "_Check[T]"]:
        """Begins the checks whose last outcome is too old; returns the latest check of each part."""
        with self._lock:
            return {name: self._current(name) for name in self._checks}

    def outcomes(self) -> dict[str, T]:
        """Returns the outcome of each part."""
        return {name: check.outcome(self._answer_seconds) for name, check in self.begin().items()}

    def _current(self, name: str) -> "_Check[T]":
        check = self._latest.get(name)
        if check is None or check.is_older_than(self._max_age_seconds):
            check = self._latest[name] = _Check(name, self._checks[name], self._no_answer, self._failed)
            check.start()
        return check


class _Check(Generic[T]):
    """One check of one part."""

    def __init__(self, name: str, action: Callable[[], T], no_answer: T, failed: Callable[[str, Exception], T]) -> None:
        self._name = name
        self._action = action
        self._failed = failed
        self._begun_at = time.monotonic()
        self._ended_at = float("inf")
        self._outcome = no_answer
        self._has_ended = threading.Event()

    def start(self) -> None:
        try:
            # A daemon, because the process must be able to end while the check hangs.
            threading.Thread(target=self._run, name=f"check-{self._name}", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            logger.exception("the check of %s failed", self._name)
            self._end(self._outcome)

    def is_older_than(self, seconds: float) -> bool:
        return time.monotonic() - self._ended_at > seconds

    def outcome(self, seconds: float) -> T:
        """Waits until the check has ended or is so old."""
        self._has_ended.wait(max(self._begun_at + seconds - time.monotonic(), 0))
        return self._outcome

    def _run(self) -> None:
        try:
            outcome = self._action()
        except Exception as exc:  # noqa: BLE001 - `failed` tells what is shown of it
            outcome = self._failed(self._name, exc)
        self._end(outcome)

    def _end(self, outcome: T) -> None:
        self._outcome = outcome
        self._ended_at = time.monotonic()
        self._has_ended.set()
