"""Checks the parts of an app for its health, so that many requests cost little and none waits for a silent part."""

import logging
from collections.abc import Callable, Mapping

from core.errors import LockstepError
from engine.process.probe import Probe

logger = logging.getLogger(__name__)

OK = "ok"
NO_ANSWER = "no answer"

MAX_AGE_SECONDS = 5.0
"""Shorter than the interval of a usual monitor, so that each of its requests sees the present state."""

ANSWER_SECONDS = 1.5
"""Requests for the health are anonymous and may be many: they must not hold the threads of the app for long."""


class HealthProbe(Probe[str]):
    """Tells `ok` of each part, what its check says is wrong with it, the class of its error, or `no answer`.

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
        super().__init__(checks, NO_ANSWER, _failed, max_age_seconds, answer_seconds)


def _failed(name: str, exc: Exception) -> str:
    if isinstance(exc, LockstepError):
        logger.warning("health check of the %s failed: %s", name, exc)
        # The class says enough; the message may contain host names.
        return type(exc).__name__
    # Whatever it is, an anonymous caller gets no more than this.
    logger.error("health check of the %s failed", name, exc_info=exc)
    return "error"
