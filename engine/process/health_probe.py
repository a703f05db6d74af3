"""Checks the parts of an app for its health, so that many requests cost little and none waits for a silent part."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from core.errors import LockstepError

logger = logging.getLogger(__name__)

OK = "ok"
NO_ANSWER = "no answer"

MAX_AGE_SECONDS = 5.0
"""Shorter than the interval of a usual monitor, so that each of its requests sees the present state."""

ANSWER_SECONDS = 1.5
"""Requests for the health are anonymous and may be many: they must not hold the threads of the app for long."""


class HealthProbe:
    """Runs one check of each part at a time, each in a thread of its own; safe to use from several threads.

    Requests share the check in flight. A request waits until the check is `answer_seconds` old; a request that comes
    later does not wait. While a check hangs, no other check of its part begins.

    Args:
        checks: by the name of the part: returns `ok`, or what is wrong with the part.
        max_age_seconds: how long the outcome of a check is used again.
        answer_seconds: how long a check may take before the outcome is `no answer`.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], str]],
        max_age_seconds: float = MAX_AGE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._checks = dict(checks)
        self._max_age_seconds = max_age_seconds
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._latest: dict[str, _Check] = {}

    def outcomes(self) -> dict[str, str]:
        """Returns the outcome of each part: what its check returned, the class of its error, or `no answer`."""
        with self._lock:
            latest = {name: self._current(name) for name in self._checks}
        return {name: check.outcome(self._answer_seconds) for name, check in latest.items()}

    def _current(self, name: str) -> "_Check":
        check = self._latest.get(name)
        if check is None or check.is_older_than(self._max_age_seconds):
            check = self._latest[name] = _Check(name, self._checks[name])
            check.start()
        return check


class _Check:
    """One check of one part."""

    def __init__(self, name: str, action: Callable[[], str]) -> None:
        self._name = name
        self._action = action
        self._begun_at = time.monotonic()
        self._ended_at = float("inf")
        self._outcome = NO_ANSWER
        self._has_ended = threading.Event()

    def start(self) -> None:
        try:
            # A daemon, because the process must be able to end while the check hangs.
            threading.Thread(target=self._run, name=f"health-{self._name}", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            logger.exception("health check of the %s failed", self._name)
            self._end(NO_ANSWER)

    def is_older_than(self, seconds: float) -> bool:
        return time.monotonic() - self._ended_at > seconds

    def outcome(self, seconds: float) -> str:
        """Waits until the check has ended or is so old."""
        self._has_ended.wait(max(self._begun_at + seconds - time.monotonic(), 0))
        return self._outcome

    def _run(self) -> None:
        try:
            self._end(self._action())
        except LockstepError as exc:
            logger.warning("health check of the %s failed: %s", self._name, exc)
            # The class says enough; the message may contain host names.
            self._end(type(exc).__name__)
        except Exception:  # whatever it is, an anonymous caller gets no more than this
            logger.exception("health check of the %s failed", self._name)
            self._end("error")

    def _end(self, outcome: str) -> None:
        self._outcome = outcome
        self._ended_at = time.monotonic()
        self._has_ended.set()
