"""The name of the table that a job loads into, and which names are refused."""

import re
from dataclasses import dataclass

from controllers import authoring as lockstep

STAGING_PREFIX = "ingest_csv_staging_"

OWN_TABLES = frozenset(
    {
        *("jobs", "stages", "batches", "tasks", "dead_letters", "job_events", "end_hooks", "task_starts"),
        *("limit_waits", "schedules", "job_waits", "job_keys", "job_dependencies", "retry_parts", "bulk_actions"),
        "end_notices",
        *("ingested_rows", "ingest_csv_tables"),
        *("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"),
    }
)
"""The tables of Lockstep and of this job type, in the schema where Lockstep lives."""

_PART = r'("(?:[^"]|"")*"|[^".]*)'
_NAME = re.compile(rf"(?:{_PART}\.)?{_PART}")


@dataclass(frozen=True)
class TableName:
    """A table; without a schema, it lies in the schema where Lockstep lives."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> "TableName":
        """Reads `name` or `schema.name`; a part that holds a dot or a quote is quoted as in SQL.

        Unlike SQL, the name is taken as written: upper case stays upper case.

        Raises:
            ValueError: the text is no such name, PostgreSQL would cut or refuse it, or it names a table that is not
                the user's.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError("a table is 'name' or 'schema.name'; quote a part that holds a dot or a quote")
        schema, name = (part and _unquoted(part) for part in match.groups())
        for part in (name,) if schema is None else (schema, name):
            check_name(part, "a table or schema")
        found = cls(schema, name)
        if schema is not None and (schema.startswith("pg_") or schema == "information_schema"):
            raise ValueError(f"the schema {schema!r} is PostgreSQL's own")
        if schema in {None, "public"}:
            found.refuse_own()
        return found

    @property
    def exclusive_key(self) -> str:
        """The key of the jobs that load into the table: one at a time.

        Only the database knows in which schema Lockstep lives. So a name without a schema is taken for one in `public`.
        """
        return f"table {self.schema or 'public'}.{self.name}"

    def refuse_own(self) -> None:
        """Refuses a name of Lockstep, for a table in the schema where Lockstep lives.

        Raises:
            ValueError: it is one.
        """
        if self.name in OWN_TABLES or self.name.startswith(STAGING_PREFIX):
            raise ValueError(f"the table {self.name!r} is one of Lockstep's own")


def check_name(name: str, of_what: str) -> None:
    """Refuses a name that PostgreSQL would cut or refuse.

    Raises:
        ValueError: it is empty, too long or not printable.
    """
    size = len(name.encode(errors="replace"))
    if not name or not name.isprintable():
        raise ValueError(f"the name of {of_what} must be printable and not empty")
    if size > lockstep.MAX_IDENTIFIER_BYTES:
        raise ValueError(
            f"the name of {of_what} has at most {lockstep.MAX_IDENTIFIER_BYTES} bytes, and {name[:20]!r}... has {size}"
        )


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
