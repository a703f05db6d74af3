"""Describes an exception as JSON for a row."""

import traceback
from typing import Any

_MAX_MESSAGE = 2_000
_MAX_TRACEBACK = 4_000


def describe(exc: BaseException) -> dict[str, Any]:
    """Describes an exception as JSON: type, message and the end of the traceback, each cut to a limit.

    NUL characters and half surrogate pairs, which jsonb refuses, are replaced.
    """
    # The last frames show where the code failed; the first ones are always the same.
    trace = "".join(traceback.format_exception(exc))
    return {
        "type": type(exc).__name__,
        "message": _message(exc),
        "traceback": _clean(trace)[-_MAX_TRACEBACK:],
    }


def describe_plainly(exc: BaseException) -> dict[str, Any]:
    """Describes an exception whose message is enough as JSON: type and message, no traceback."""
    return {"type": type(exc).__name__, "message": _message(exc)}


def _message(exc: BaseException) -> str:
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 - an author's __str__ may raise anything
        text = "<the exception has no text: its __str__ fails>"
    return _clean(text)[:_MAX_MESSAGE]


def _clean(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
