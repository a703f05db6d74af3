"""Runs one invocation of a function in a worker process."""

import logging
import time
import uuid
from concurrent.futures import Future

from local.functions_host.errors import FunctionTimeoutError, WorkerLostError
from local.functions_host.protocol import Completed, Invoke, TriggerData
from local.functions_host.timespan import format_timespan
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)


class Invocation:
    """A running invocation; ``result`` waits for it, enforces ``functionTimeout`` and logs its end."""

    def __init__(self, function: str, pool: WorkerPool, data: TriggerData) -> None:
        self._invoke = Invoke(str(uuid.uuid4()), function, data)
        self._pool = pool
        self._started = time.monotonic()
        try:
            self._future = pool.submit(self._invoke)
        except WorkerLostError as exc:
            self._future = Future()
            self._future.set_exception(exc)
        self._sent = time.monotonic()  # functionTimeout starts here, after the wait for a worker

    def result(self, timeout_seconds: float | None = None) -> Completed:
        """Wait for the end of the invocation; a lost worker or a functionTimeout is returned as an error.

        Raises:
            TimeoutError: the invocation still runs after ``timeout_seconds``.
        """
        try:
            completed = self._wait(timeout_seconds)
        except (WorkerLostError, FunctionTimeoutError) as exc:
            completed = Completed(self._invoke.invocation_id, error=str(exc))
        self._log(completed)
        return completed

    def _wait(self, timeout_seconds: float | None) -> Completed:
        limit = self._pool.function_timeout_seconds
        if limit is None:
            return self._future.result(timeout_seconds)
        left = max(self._sent + limit - time.monotonic(), 0.0)
        if timeout_seconds is not None and timeout_seconds < left:
            return self._future.result(timeout_seconds)
        try:
            return self._future.result(left)
        except TimeoutError:
            error = FunctionTimeoutError(
                f"Timeout value of {format_timespan(limit)} exceeded by function '{self._invoke.function}' "
                f"(Id: '{self._invoke.invocation_id}')."
            )
            self._pool.time_out(self._invoke.invocation_id, error)
        return self._future.result()  # the invocation has ended, or fails when its process ends

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
