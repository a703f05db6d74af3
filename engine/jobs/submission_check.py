"""Lets a job type look at the world before a submission of its jobs is accepted."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from controllers.base import JobController
from controllers.context import JobParameters
from controllers.secret_parameters import secret_values
from controllers.services import Services
from core.error_records import describe_for_log
from core.errors import (
    ControllerError,
    FieldError,
    InvalidInputError,
    JobFailure,
    LockstepError,
    UnreachableError,
)
from core.log_threads import joined
from core.redaction import Redaction

logger = logging.getLogger(__name__)

CHECK_SECONDS = 20.0
"""How long a check may take: a client waits for its answer, and Azure's load balancer waits 230 s at most."""

_MOST_AT_ONCE = 16
"""Checks in progress in one process, with those that were given up: each holds a thread until it ends by itself."""


class SubmissionCheck:
    """Calls `check_submission` of controllers, each in a thread that can be given up; safe to use from several threads.

    Args:
        services: passed to the controllers.
        seconds: how long a check may take.
    """

    def __init__(self, services: Services, seconds: float = CHECK_SECONDS) -> None:
        self._services = services
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def check(self, controller: JobController[Any], parameters: JobParameters) -> None:
        """Returns when the controller has nothing against a job with these parameters.

        Raises:
            InvalidInputError: the controller refuses it.
            UnreachableError: what the controller looks at cannot be reached, or does not answer in time.
            ControllerError: the controller's code raised another error; the log has its traceback.
            LockstepError: PostgreSQL, which the controller asked, is unavailable.
        """
        redaction = Redaction(secret_values(parameters))
        try:
            self._call(lambda: controller.check_submission(parameters, self._services))
        except InvalidInputError as exc:
            errors = [FieldError(error.field, redaction.text(error.message)) for error in exc.errors]
            raise InvalidInputError(redaction.text(str(exc)), errors) from exc
        except JobFailure as exc:
            raise InvalidInputError(redaction.text(str(exc))) from exc
        except (UnreachableError, ConnectionError, TimeoutError) as exc:
            raise UnreachableError(redaction.text(str(exc))) from exc
        except (Exception, SystemExit) as exc:
            if isinstance(exc, LockstepError) and exc.waited_out:
                raise
            logger.error(  # noqa: TRY400 - the traceback of the log is the redacted one
                "the check of a %s job failed: %s", controller.job_type, describe_for_log(exc, redaction)
            )
            raise ControllerError(exc) from None

    @staticmethod
    def is_needed(controller: JobController[Any]) -> bool:
        """Whether the controller overrides `check_submission`."""
        return type(controller).check_submission is not JobController.check_submission

    def _call(self, check: Callable[[], None]) -> None:
        if not self._free.acquire(blocking=False):
            raise UnreachableError(f"{_MOST_AT_ONCE} submissions are being checked; none of the checks has ended")
        result: Future[None] = Future()

        def run() -> None:
            try:
                check()
            except BaseException as exc:  # noqa: BLE001 - it is raised again in the thread that waits
                result.set_exception(exc)
            else:
                result.set_result(None)
            finally:
                self._free.release()

        threading.Thread(target=joined(run), name="submission check", daemon=True).start()
        try:
            result.result(self._seconds)
        except FutureTimeoutError as exc:
            if result.done():  # the check raised it
                raise
            raise UnreachableError(f"the check of the submission took longer than {self._seconds:g} s") from exc
