"""How the app of a test reaches its PostgreSQL. The tests themselves connect as the owner of the tables.

`LOCKSTEP_TEST_DATABASE` names one of `WAYS`: the fixtures `build_app` and `postgres_database` go this way. A new way is
a function that gives an `AppDatabase` for the length of a block, and a line of `WAYS`.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2 import sql

import connections
from local.postgres import EmbeddedPostgres
from repositories import app_role
from repositories.entra import TokenPassword
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from tests.fakes.credential import RoleCredential
from tests.support.pooler import pooled
from tests.support.waiting import LONG_SECONDS

_WAIT_SECONDS = LONG_SECONDS


@dataclass(frozen=True)
class AppDatabase:
    """The database as the app reaches it.

    Attributes:
        url: with the app's role.
        settings: the app's settings of the database.
        password: gives the password of a new connection; None if the URL has it, or none is needed.
        renew: changes what changes by itself with time; called before each test.
        role: the app's role, None if it is the owner of the tables.
    """

    url: str
    settings: Mapping[str, str] = field(repr=False)
    password: Callable[[], str] | None = None
    renew: Callable[[], object] = lambda: None
    role: str | None = None

    @contextmanager
    def as_owner(self, owner_url: str) -> Iterator[None]:
        """Makes the role a member of the owner, for the length of a block: for job types that make tables."""
        if self.role is None:
            yield
            return
        names = {"owner": sql.Identifier(urlsplit(owner_url).username or ""), "role": sql.Identifier(self.role)}
        _execute(owner_url, sql.SQL("GRANT {owner} TO {role}").format(**names))
        try:
            yield
        finally:
            _execute(owner_url, sql.SQL("REVOKE {owner} FROM {role}").format(**names))

    def database(self, size: int) -> PostgresDatabase:
        return PostgresDatabase(ConnectionPool(self.url, size, password=self.password))


Way = Callable[[EmbeddedPostgres, str], AbstractContextManager[AppDatabase]]


@contextmanager
def as_owner(server: EmbeddedPostgres, url: str) -> Iterator[AppDatabase]:
    """Without a password, as the owner of the tables, whose app migrates at its start."""
    yield AppDatabase(url, {"DATABASE_URL": url})


@contextmanager
def by_password(server: EmbeddedPostgres, url: str) -> Iterator[AppDatabase]:
    """As a role that only reads and writes rows, by a password in the URL."""
    with least_role(server, url) as (role, role_url):
        _execute(url, sql.SQL("ALTER ROLE {} PASSWORD 'p@ss/w%rd'").format(sql.Identifier(role)))
        with_password = role_url.replace("@", ":p%40ss%2Fw%25rd@", 1)
        yield AppDatabase(with_password, {"DATABASE_URL": with_password, "MIGRATE_ON_START": "false"}, role=role)


@contextmanager
def by_token(server: EmbeddedPostgres, url: str) -> Iterator[AppDatabase]:
    """As a role that only reads and writes rows, by a token that is another one for each test."""
    with least_role(server, url) as (role, role_url), pytest.MonkeyPatch.context() as patch:
        credential = RoleCredential(url, role)
        patch.setattr(connections, "database_credential", lambda _: credential)
        settings = {"DATABASE_URL": role_url, "DATABASE_AUTH": "entra", "MIGRATE_ON_START": "false"}
        yield AppDatabase(role_url, settings, TokenPassword(credential), credential.renew, role)


@contextmanager
def through_pgbouncer(server: EmbeddedPostgres, url: str) -> Iterator[AppDatabase]:
    """As the owner of the tables, through PgBouncer in transaction mode."""
    with pooled(url, server_connect_timeout="120", query_wait_timeout="120") as pooled_url:  # a machine may be busy
        yield AppDatabase(pooled_url, {"DATABASE_URL": pooled_url})


WAYS: dict[str, Way] = {
    "owner": as_owner,
    "password": by_password,
    "token": by_token,
    "pgbouncer": through_pgbouncer,
}


def chosen_way() -> Way:
    """The way that the environment names.

    Raises:
        KeyError: there is none of this name.
    """
    return WAYS[os.environ.get("LOCKSTEP_TEST_DATABASE") or "owner"]


@contextmanager
def least_role(server: EmbeddedPostgres, url: str) -> Iterator[tuple[str, str]]:
    """Gives a role with the rights of the app on a migrated database, and a URL with it."""
    with password_role(server, url) as (role, role_url):
        with closing(PostgresDatabase(ConnectionPool(url, size=1))) as owner:
            app_role.grant(owner, role)
        yield role, role_url


@contextmanager
def password_role(server: EmbeddedPostgres, url: str) -> Iterator[tuple[str, str]]:
    """Gives a role without rights, of which the server asks a password, and a URL with it."""
    role = f"app_{uuid.uuid4().hex}"
    role_url = url.replace(f"{urlsplit(url).username}@", f"{role}@", 1)
    rules = server.data_dir / "pg_hba.conf"
    before = rules.read_text()
    _execute(url, sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    try:
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
        _execute(url, "SELECT pg_reload_conf()")
        deadline = time.monotonic() + _WAIT_SECONDS
        while _is_admitted(role_url):
            assert time.monotonic() < deadline, "the server does not ask for a password"
        yield role, role_url
    finally:
        rules.write_text(before)
        _execute(url, sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))
        _execute(url, "SELECT pg_reload_conf()")


def _is_admitted(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def _execute(url: str, statement: str | sql.Composable) -> None:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)
