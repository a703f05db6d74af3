"""Checks of the values that authors declare, at import time or when the registry is built."""

from collections.abc import Iterable
from typing import Any

from core.errors import ConfigurationError


def require_number(what: str, value: Any, least: float, most: float) -> None:
    """Refuses anything but a number in a range, NaN included.

    Raises:
        ConfigurationError: names the value and the range.
    """
    if not _is_number(value, (int, float)) or not least <= value <= most:
        raise _wrong(what, value, f"a number from {least:,} to {most:,}")


def require_whole_number(what: str, value: Any, least: int, most: int) -> None:
    """Refuses anything but an integer in a range.

    Raises:
        ConfigurationError: names the value and the range.
    """
    if not _is_number(value, (int,)) or not least <= value <= most:
        raise _wrong(what, value, f"a whole number from {least:,} to {most:,}")


def require_flag(what: str, value: Any) -> None:
    """Refuses anything but True and False.

    Raises:
        ConfigurationError: names the value.
    """
    if not isinstance(value, bool):
        raise _wrong(what, value, "True or False")


def require_name(what: str, value: Any, without: str = "") -> None:
    """Refuses anything but a text that can be shown, stored, and told from an empty one.

    Args:
        what: names the value in the error.
        value: the declared value.
        without: a character that the text must not hold.

    Raises:
        ConfigurationError: names the value.
    """
    right = isinstance(value, str) and value.isprintable() and value.strip()
    if not right or (without and without in value):
        raise _wrong(what, value, "a text of printable characters" + (f" without {without!r}" if without else ""))


def require_one_of(what: str, value: Any, choices: Iterable[str]) -> None:
    """Refuses anything but one of some texts.

    Raises:
        ConfigurationError: names the value and the texts.
    """
    texts = [str(choice) for choice in choices]
    if value not in texts:
        raise _wrong(what, value, " or ".join(map(repr, texts)))


def require_type(what: str, value: Any, right: type, named: str) -> None:
    """Refuses anything but an instance of a class.

    Raises:
        ConfigurationError: names the value and the class.
    """
    if not isinstance(value, right):
        raise _wrong(what, value, named)


def _is_number(value: Any, types: tuple[type, ...]) -> bool:
    # True and False are integers too, and never meant as numbers.
    return isinstance(value, types) and not isinstance(value, bool)


def _wrong(what: str, value: Any, right: str) -> ConfigurationError:
    return ConfigurationError(f"{what} is {value!r}; it must be {right}")
