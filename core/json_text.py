"""Canonical JSON that PostgreSQL's jsonb can store."""

import json
import re
from decimal import Decimal
from typing import Any

from core.errors import PayloadTooLargeError, UnencodableValueError
from core.json_complaints import complaint

# An escaped NUL whose backslash is not itself escaped; jsonb cannot store NUL.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

# A text, or a float from 1e16 on. jsonb keeps digits, not exponents: without a point it returns an integer.
_TEXT_OR_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+')

_NULL = "null"

MAX_DEPTH = 100
"""Levels of arrays and objects: far below the interpreter's recursion limit, in encoding and in decoding."""

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode(value: Any, *, what: str = "the value", max_bytes: int | None = None) -> str:
    """Encodes a value in canonical JSON: sorted keys, no spaces, UTF-8, no exponents of large numbers.

    Args:
        value: anything that JSON can express.
        what: names the value in error messages.
        max_bytes: the maximum size in UTF-8; None for no limit.

    Raises:
        UnencodableValueError: the value contains something that JSON or jsonb cannot express: another
            type, NaN or an infinity, a NUL character, half a surrogate pair, a cycle, or more than
            `MAX_DEPTH` levels.
        PayloadTooLargeError: the JSON has more than `max_bytes`.
    """
    if value is None and (max_bytes is None or max_bytes >= len(_NULL)):
        return _NULL  # what most tasks return that work on something else
    try:
        text = _encoder.encode(value)
        if "e+" in text:
            text = _TEXT_OR_LARGE_FLOAT.sub(_with_point, text)
        too_deep = text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(json.loads(text))
        size_bytes = len(text) if text.isascii() else len(text.encode())
    except (TypeError, ValueError, RecursionError) as exc:
        reason = complaint(value, MAX_DEPTH) or str(exc)
        raise UnencodableValueError(f"{what} cannot be written as JSON: {reason}") from exc
    if too_deep:
        raise UnencodableValueError(f"{what} is nested deeper than {MAX_DEPTH} levels")
    if "\\u0000" in text and _NUL.search(text):
        raise UnencodableValueError(f"{what} contains a NUL character, which PostgreSQL cannot store in JSON")
    if max_bytes is not None and size_bytes > max_bytes:
        raise PayloadTooLargeError(what, size_bytes, max_bytes)
    return text


def _with_point(match: re.Match[str]) -> str:
    token = match[0]
    return token if token.startswith('"') else f"{Decimal(token):f}.0"


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [each for each in level if isinstance(each, (list, dict))]
        if not containers:
            return False
        level = [child for each in containers for child in (each.values() if isinstance(each, dict) else each)]
    return True
