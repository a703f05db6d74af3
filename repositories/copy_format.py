"""COPY's text format, https://www.postgresql.org/docs/current/sql-copy.html."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_line(*values: str | int | None) -> str:
    """Writes a row's values, in the order of the columns, as a line for `Rows.copy`; None is NULL."""
    return "\t".join(r"\N" if value is None else str(value).translate(_ESCAPES) for value in values) + "\n"
