"""Names in the text of a query: PostgreSQL takes no parameter for the name of a table or column."""

import re
from collections.abc import Mapping

MAX_IDENTIFIER_BYTES = 63
"""PostgreSQL cuts a longer name silently (NAMEDATALEN - 1)."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def identifier(*parts: str) -> str:
    """Quotes a name, or the parts of a qualified one, for the text of a query.

    psycopg2's own `sql.Identifier` needs a connection, and does not escape a percent sign (`with_names` does).

    Raises:
        ValueError: a part is empty, longer than `MAX_IDENTIFIER_BYTES`, or holds a NUL character.
    """
    for part in parts:
        if not part or "\x00" in part or len(part.encode()) > MAX_IDENTIFIER_BYTES:
            raise ValueError(f"{part[:100]!r} is no name that PostgreSQL can store")
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def with_names(query: str, names: Mapping[str, str], *, has_parameters: bool = False) -> str:
    """Fills the placeholders `{name}` of a query with quoted names, or with lists of them.

    Args:
        query: its text.
        names: what `identifier` returned, by placeholder.
        has_parameters: whether the query is run with parameters: a percent sign in a name is escaped then.

    Raises:
        KeyError: a placeholder has no name.
    """

    def filled(match: re.Match[str]) -> str:
        name = names[match[1]]
        return name.replace("%", "%%") if has_parameters else name

    return _PLACEHOLDER.sub(filled, query)
