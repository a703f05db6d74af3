"""The hook of azd creates the app's role once, on the real PostgreSQL with a double of Azure's function."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from infra.hooks import prepare_database

_ROLE = "id-lockstep-1a2b3c"

_AZURES = """
CREATE FUNCTION pgaadauth_create_principal_with_oid(name text, id text, kind text, admin boolean, mfa boolean)
RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('CREATE ROLE %I LOGIN', name);
    EXECUTE format('COMMENT ON ROLE %I IS %L', name, concat_ws(' ', id, kind, admin, mfa));
    RETURN name;
END $$
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(database_url)) as made:
        with made, made.cursor() as cursor:
            cursor.execute(_AZURES)
        yield made
        with made, made.cursor() as cursor:
            cursor.execute(f'DROP ROLE IF EXISTS "{_ROLE}"')


def test_the_role_is_created_once(connection: Connection) -> None:
    assert prepare_database.create_role(connection, _ROLE, "object-id")
    assert not prepare_database.create_role(connection, _ROLE, "object-id")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (_ROLE,))
        assert cursor.fetchall() == [("object-id service f f",)]


def test_a_user_principal_name_is_one_user_of_the_url() -> None:
    given = {
        "LOCKSTEP_DATABASE_HOST": "psql.example",
        "LOCKSTEP_DATABASE_NAME": "lockstep",
        "LOCKSTEP_DATABASE_ADMINISTRATOR": "some.one@example.com",
    }
    url = urlsplit(prepare_database.database_url(given))
    assert (unquote(url.username or ""), url.hostname, url.path) == (
        "some.one@example.com",
        "psql.example",
        "/lockstep",
    )


def test_without_outputs_of_the_template_the_hook_says_what_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare_database.main({}) == 2
    assert "run `azd provision` first" in capsys.readouterr().err
