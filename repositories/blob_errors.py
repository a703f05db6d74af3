"""What the errors of Azure's client mean."""

from http import HTTPStatus
from math import inf

from azure.core.exceptions import AzureError, HttpResponseError

from core.errors import BlobChangedError, BlobError, BlobUnavailableError

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def blob_error(error: AzureError, what: str) -> BlobError | BlobUnavailableError:
    """The error that a caller gets.

    Its text has the status and the code of the service, and none of the client's texts: they may hold a URL.

    Args:
        error: an error of the client.
        what: names the blob or the container.
    """
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:  # no answer, or no token
        return BlobUnavailableError(f"{what} cannot be reached now: {type(error).__name__}")
    if status < HTTPStatus.MULTIPLE_CHOICES:  # it broke off, or is that of a gateway before the service
        return BlobUnavailableError(f"{what}: the answer cannot be read")
    code = _code(error)
    answer = f"Azure Blob Storage answers {status} {code}".rstrip()
    if code == "InvalidBlockList":  # another writer has committed the blob: to commit again helps as little as to wait
        return BlobUnavailableError(f"{what}: {answer}", inf)
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR or code == "ContainerBeingDeleted":
        return BlobUnavailableError(f"{what}: {answer}", _retry_after(error))
    if status == HTTPStatus.PRECONDITION_FAILED:
        return BlobChangedError(f"{what} has changed")
    return BlobError(f"{what}: {_meaning(status, code)} ({answer})")


def _meaning(status: int, code: str) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "there is no such container" if code == "ContainerNotFound" else "there is no such blob"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "the app may not use it; its identity needs a role such as Storage Blob Data Reader"
    if status < HTTPStatus.BAD_REQUEST:
        return "it leads elsewhere, which is not followed"
    return "it cannot be used"


def is_end_of_blob(error: HttpResponseError) -> bool:
    """Whether a range was refused because the blob ends before it."""
    return error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


def _code(error: AzureError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _retry_after(error: AzureError) -> float:
    headers = getattr(getattr(error, "response", None), "headers", {})
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0  # a date would be judged by this machine's clock
