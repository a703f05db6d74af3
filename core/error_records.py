"""How an exception is written into a row."""

import traceback
from typing import Any

_MAX_MESSAGE = 2_000
_MAX_TRACEBACK = 4_000


def describe(exc: BaseException) -> dict[str, Any]:
    """An exception as JSON: type, message, and the end of its traceback, each trimmed.

    NUL characters and halves of surrogate pairs, which jsonb refuses, are replaced.
    """
    # The last frames say where it broke; the first ones are always the same.
    trace = "".join(traceback.format_exception(exc))
    return {
        "type": type(exc).__name__,
        "message": _message(exc),
        "traceback": _clean(trace)[-_MAX_TRACEBACK:],
    }


def describe_plainly(exc: BaseException) -> dict[str, Any]:
    """An exception whose message says it all, as JSON: type and message."""
    return {"type": type(exc).__name__, "message": _message(exc)}


def _message(exc: BaseException) -> str:
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 - the text of a handler's exception is the handler's code
        text = "<the exception has no text: its __str__ fails>"
    return _clean(text)[:_MAX_MESSAGE]


def _clean(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
