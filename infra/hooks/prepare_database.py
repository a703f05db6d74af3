"""Prepares PostgreSQL for a version of the app: creates the app's role, then migrates; azd runs it before it deploys.

It runs as the principal that is signed in, the administrator that infra/main.bicep has set, and may be repeated. Its
variables are outputs of infra/main.bicep, which azd passes on.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import certifi
import psycopg2
from azure.identity import DefaultAzureCredential
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

ROOT = Path(__file__).parents[2]

TOKEN_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"  # noqa: S105 - names what a token is for

NEEDED = (
    "LOCKSTEP_DATABASE_HOST",
    "LOCKSTEP_DATABASE_NAME",
    "LOCKSTEP_DATABASE_ADMINISTRATOR",
    "LOCKSTEP_IDENTITY_NAME",
    "LOCKSTEP_IDENTITY_PRINCIPAL_ID",
)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Runs both steps; returns the exit code."""
    if missing := [name for name in NEEDED if not environment.get(name)]:
        sys.stderr.write(f"{', '.join(missing)} not set: run `azd provision` first, or `azd hooks run predeploy`\n")
        return 2
    with closing(_connect(environment)) as connection:
        created = create_role(
            connection, environment["LOCKSTEP_IDENTITY_NAME"], environment["LOCKSTEP_IDENTITY_PRINCIPAL_ID"]
        )
    name = environment["LOCKSTEP_IDENTITY_NAME"]
    sys.stdout.write(f"the role {name} {'is created' if created else 'exists'}\n")
    command = [sys.executable, "-m", "migrate", "--app-role", name]
    given = {**os.environ, "DATABASE_AUTH": "entra", "DATABASE_URL": database_url(environment)}
    return subprocess.run(command, cwd=ROOT, env=given, check=False).returncode  # noqa: S603 - this interpreter


def database_url(environment: Mapping[str, str]) -> str:
    """The URL with which the administrator migrates; a user principal name holds an `@`."""
    user = quote(environment["LOCKSTEP_DATABASE_ADMINISTRATOR"], safe="")
    host, name = environment["LOCKSTEP_DATABASE_HOST"], environment["LOCKSTEP_DATABASE_NAME"]
    return f"postgresql://{user}@{host}:5432/{name}?sslmode=verify-full"


def create_role(connection: Connection, name: str, object_id: str) -> bool:
    """Creates the role of a managed identity if there is none; returns whether it did."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
        if cursor.fetchone() is not None:
            return False
        # Neither an administrator nor bound to a second factor: an identity has none.
        cursor.execute("SELECT pgaadauth_create_principal_with_oid(%s, %s, 'service', false, false)", (name, object_id))
        return True


def _connect(environment: Mapping[str, str]) -> Connection:
    # In the database postgres: only there has the server the functions that manage principals.
    return psycopg2.connect(
        host=environment["LOCKSTEP_DATABASE_HOST"],
        user=environment["LOCKSTEP_DATABASE_ADMINISTRATOR"],
        password=DefaultAzureCredential().get_token(TOKEN_SCOPE).token,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=certifi.where(),
        connect_timeout=15,
    )


if __name__ == "__main__":
    sys.exit(main())
