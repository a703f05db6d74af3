import logging
from typing import Any

from controllers.base import JobController
from controllers.context import JobParameters
from controllers.registry import Registry
from controllers.secret_parameters import secret_values
from core.error_records import describe_for_log
from core.errors import ControllerError, UnknownJobTypeError
from core.job_waits import MAX_KEY_LENGTH
from core.redaction import Redaction

logger = logging.getLogger(__name__)


def exclusive_key(controller: JobController[Any], parameters: JobParameters) -> str | None:
    """Returns the exclusive key of a job, or None.

    Raises:
        ControllerError: the controller's code raised an error or made a wrong key; the log has its traceback.
    """
    if not _has_keys(controller):
        return None
    try:
        key = controller.exclusive_key(parameters)
        _check(key)
    except Exception as exc:  # noqa: BLE001 - an author's code may raise anything
        text = describe_for_log(exc, Redaction(secret_values(parameters)))
        logger.error("the exclusive key of a %s job: %s", controller.job_type, text)  # noqa: TRY400 - redacted
        raise ControllerError(exc) from None
    return key


def may_be_exclusive(registry: Registry, job_type: str) -> bool:
    """Tells whether jobs of a type may hold keys; those of a type that another version of the app has may, too."""
    try:
        return _has_keys(registry.controller(job_type))
    except UnknownJobTypeError:
        return True


def _has_keys(controller: JobController[Any]) -> bool:
    return type(controller).exclusive_key is not JobController.exclusive_key


def _check(key: str | None) -> None:
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_LENGTH and "\x00" not in key):
        raise ValueError(f"an exclusive key is a string of 1 to {MAX_KEY_LENGTH} characters, none of them NUL")
    if key is not None:
        key.encode()  # refuses half of a surrogate pair, as PostgreSQL does
