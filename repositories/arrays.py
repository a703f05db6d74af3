"""Arrays as one text: of a list, psycopg2 makes an expression, and PostgreSQL has to parse each of its elements."""

from collections.abc import Iterable


def array(values: Iterable[str]) -> str:
    """Returns PostgreSQL's text of an array of ids or numbers: of values that need no quotes."""
    return f"{{{','.join(values)}}}"
