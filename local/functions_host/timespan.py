"""Parses and formats time spans in the text form of .NET's TimeSpan, which host.json uses."""

import re

_TIMESPAN = re.compile(r"(?:(\d+)\.)?([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d(?:\.\d{1,7})?))?", re.ASCII)


def parse_timespan(text: object) -> float:
    """Convert ``[days.]hours:minutes[:seconds[.fraction]]``, or a single number of days, to seconds.

    Raises:
        ValueError: the text has another form, or a part is out of range, such as 24 hours, which .NET reads as days.
    """
    if isinstance(text, str):
        if text.isascii() and text.isdecimal():
            return int(text) * 86400.0
        match = _TIMESPAN.fullmatch(text)
        if match:
            days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
            return days * 86400 + hours * 3600 + minutes * 60 + seconds
    raise ValueError(f"{text!r} is not a time span such as '00:05:00'")


def format_timespan(seconds: float) -> str:
    """Convert seconds to ``[days.]hh:mm:ss[.fraction]``, rounded to milliseconds."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    days, rest = divmod(whole, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}." * bool(days) + text + f".{milliseconds:03}" * bool(milliseconds)
