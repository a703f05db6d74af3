"""Grants the app's role what it needs, and no more: to read and write rows, and to call functions."""

from collections.abc import Mapping

from core.errors import ConfigurationError
from repositories import queries
from repositories.identifiers import identifier, with_names
from repositories.ports import Database, UnitOfWork
from repositories.ports.rows import Rows
from repositories.transactions import transact

_QUERIES = queries.load("app_role")

_GRANTS = {
    "tables": "grant_tables",
    "migration_tables": "grant_migration_tables",
    "sequences": "grant_sequences",
    "functions": "grant_functions",
}
_FUTURE = ("grant_future_tables", "grant_future_sequences", "grant_future_functions")


def grant(database: Database, role: str) -> None:
    """Grants a role the rights on what the current role owns in its schema, now and later; may be repeated.

    Raises:
        ConfigurationError: there is no such role.
        DatabaseError: the current role may not grant this.
    """

    def act(work: UnitOfWork) -> None:
        work.repository(lambda rows: _grant(rows, role))

    transact(database, act)


def _grant(rows: Rows, role: str) -> None:
    context = rows.one(_QUERIES["context"], {"role": role})
    if not context["exists"]:
        raise ConfigurationError(f"PostgreSQL has no role {role!r}: create it first (docs/configuration.md, Two roles)")
    names = {name: identifier(str(value)) for name, value in (*context.items(), ("role", role)) if name != "exists"}
    for query in ("grant_connect", "grant_schema"):
        rows.execute(_named(query, names))
    for found, query in _GRANTS.items():
        listed = [str(row["name"]) for row in rows.all(_QUERIES[found])]
        if listed:
            rows.execute(_named(query, {**names, "names": ", ".join(listed)}))
    for query in _FUTURE:
        rows.execute(_named(query, names))


def _named(query: str, names: Mapping[str, str]) -> str:
    return with_names(_QUERIES[query], names)
