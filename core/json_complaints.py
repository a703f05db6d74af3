"""Says in words why a value cannot be written as JSON, and where in it the reason is."""

import math
import sys
from collections.abc import Iterator
from typing import Any

_LONGEST_KEY = 40
_TOO_DEEP = "too deep"


def complaint(value: Any, max_depth: int) -> str | None:
    """Returns the first reason why a value cannot be written as JSON, or None when there is no known one.

    Args:
        value: any value.
        max_depth: the most levels of arrays and objects.
    """
    found = next(_complaints(value, "", max_depth), None)
    return f"it is nested deeper than {max_depth} levels, or contains itself" if found is _TOO_DEEP else found


def _complaints(value: Any, place: str, levels_left: int) -> Iterator[str]:
    match value:
        case dict():
            yield from _of_keys(value, f"the object at {place}" if place else "the outermost object")
            parts = [(f"{place}.{_short(key)}" if place else _short(key), each) for key, each in value.items()]
        case list() | tuple():
            parts = [(f"{place}[{index}]", each) for index, each in enumerate(value)]
        case _:
            yield from _of_leaf(value, place)
            return
    if not levels_left:
        yield _TOO_DEEP
        return
    for part_place, part in parts:
        yield from _complaints(part, part_place, levels_left - 1)


def _of_keys(value: dict[Any, Any], where: str) -> Iterator[str]:
    for key in value:
        if isinstance(key, str) and _is_half(key):
            yield f"a key of {where} holds half a surrogate pair"
        elif not isinstance(key, (str, int, float, bool, type(None))):
            yield f"a key of {where} is of type {type(key).__name__}; use a text"
    try:
        sorted(value)
    except TypeError:
        types = sorted({type(key).__name__ for key in value})
        yield f"the keys of {where} are of several types ({', '.join(types)}); use texts"


def _of_leaf(value: Any, place: str) -> Iterator[str]:
    match value:
        case str():
            if _is_half(value):
                yield f"the text at {place} holds half a surrogate pair" if place else "it holds half a surrogate pair"
        case float():
            if not math.isfinite(value):
                yield f"the number at {place} is {value}" if place else f"it is the number {value}"
        case int():
            digits = sys.get_int_max_str_digits()
            if digits and abs(value) >= 10**digits:
                yield f"{f'the integer at {place}' if place else 'it'} has more than {digits:,} digits"
        case None:
            pass
        case _:
            what = f"the value at {place}" if place else "it"
            yield f"{what} is of type {type(value).__name__}, which JSON does not have"


def _is_half(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _short(key: Any) -> str:
    text = str(key)
    return text if len(text) < _LONGEST_KEY else text[: _LONGEST_KEY - 1] + "\N{HORIZONTAL ELLIPSIS}"
