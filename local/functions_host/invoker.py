import logging
import time
import uuid
from concurrent.futures import Future

from local.functions_host.errors import WorkerLostError
from local.functions_host.protocol import Completed, Invoke, TriggerData
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)


class Invocation:
    """A running invocation; its end is one line in the log."""

    def __init__(self, function: str, pool: WorkerPool, data: TriggerData) -> None:
        self._invoke = Invoke(str(uuid.uuid4()), function, data)
        self._started = time.monotonic()
        try:
            self._future = pool.submit(self._invoke)
        except WorkerLostError as exc:
            self._future = Future()
            self._future.set_exception(exc)

    def result(self, timeout_seconds: float | None = None) -> Completed:
        """Wait for the end; a lost worker is an error like any other.

        Raises:
            TimeoutError: it still runs.
        """
        try:
            completed = self._future.result(timeout_seconds)
        except WorkerLostError as exc:
            completed = Completed(self._invoke.invocation_id, error=str(exc))
        self._log(completed)
        return completed

    def _log(self, completed: Completed) -> None:
        outcome = "Failed" if completed.error else "Succeeded"
        milliseconds = round((time.monotonic() - self._started) * 1000)
        logger.log(
            logging.ERROR if completed.error else logging.INFO,
            "Executed '%s' (%s, Id=%s, Duration=%sms)%s",
            self._invoke.function,
            outcome,
            completed.invocation_id,
            milliseconds,
            f": {completed.error}" if completed.error else "",
        )
