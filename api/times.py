"""Reads a time from the query of a request."""

from datetime import UTC, datetime

from core.errors import field_error

_YEARS = range(1970, 9000)  # in every zone, PostgreSQL and Python know the times of these years


def read_time(field: str, text: str) -> datetime:
    """Reads a time with its zone; returns it in UTC.

    Raises:
        InvalidInputError: the text is no such time; the error names the field.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as exc:
        raise field_error(field, "must be a time as in 2026-12-01T03:00:00Z; a + is written as %2B in a URL") from exc
    if time.tzinfo is None:
        raise field_error(field, "must be a time with its zone, as in 2026-12-01T03:00:00Z")
    if time.year not in _YEARS:
        raise field_error(field, f"must be in a year from {_YEARS.start} to {_YEARS.stop - 1}")
    return time.astimezone(UTC)
