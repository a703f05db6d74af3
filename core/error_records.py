"""Describes an exception: as JSON for a row, and as a text for the log. Both are redacted."""

import traceback
from typing import Any

from core.errors import RelayedError
from core.redaction import Redaction

_MAX_MESSAGE = 2_000
_MAX_TRACEBACK = 8_000

_NO_SECRETS = Redaction()
_UNKNOWN_SECRETS = "<not shown: the secret parameters of its job are not known here>"


def describe(exc: BaseException, redaction: Redaction | None = _NO_SECRETS) -> dict[str, Any]:
    """Describes an exception as JSON: type and message. The traceback belongs in the log.

    NUL characters and half surrogate pairs, which jsonb refuses, are replaced.

    Args:
        exc: the exception.
        redaction: knows the secrets of the job; None when they are not known, so that the message is not kept.
    """
    message = _UNKNOWN_SECRETS
    if redaction is not None:
        # Cut last: the rest of a secret that was cut would not be found.
        message = redaction.text(clean(text_of(exc)))[:_MAX_MESSAGE]
    return {"type": _type_name(exc), "message": message}


def describe_for_log(exc: BaseException, redaction: Redaction | None) -> str:
    """Returns the end of an exception's traceback, its causes included; its class alone for unknown secrets."""
    if redaction is None:
        return f"{_type_name(exc)}: {_UNKNOWN_SECRETS}"
    # The last frames show where the code failed; the first ones are always the same.
    return redaction.text(clean("".join(traceback.format_exception(exc))))[-_MAX_TRACEBACK:].strip()


def _type_name(exc: BaseException) -> str:
    return exc.type_name if isinstance(exc, RelayedError) else type(exc).__name__


def text_of(exc: BaseException) -> str:
    """Returns the text of an exception, whatever its class does to make one."""
    try:
        return str(exc)
    except Exception:  # noqa: BLE001 - an author's __str__ may raise anything
        return "<the exception has no text: its __str__ fails>"


def clean(text: str) -> str:
    """Returns a text without the characters that PostgreSQL refuses: NUL, and half surrogate pairs."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
