"""The app on PostgreSQL as an identity, whose password is a token that expires: real server, real passwords."""

import logging
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import certifi
import psycopg2
import pytest
from azure.identity import CredentialUnavailableError
from psycopg2 import sql

import bootstrap
import connections
from core.errors import DatabaseUnavailableError
from engine.process.outage_waiter import OutageWaiter
from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.entra import TokenPassword
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase
from settings import DatabaseSettings, Settings
from tests.fakes.credential import RoleCredential
from tests.integration.job_types import counting_job, returning
from tests.support.app_database import WAYS, least_role, password_role
from tests.support.app_transport import AppTransport
from tests.support.long_deadlines import LONG_DEADLINES
from tests.support.mailbox import Mailbox
from tests.support.tls import TlsRelay


@pytest.fixture
def role(postgres: EmbeddedPostgres, database_url: str) -> Iterator[tuple[str, RoleCredential]]:
    """The URL of a migrated database with a role of the app, and the identity that has the role."""
    with least_role(postgres, database_url) as (name, url):
        yield url, RoleCredential(database_url, name)


def answers(database: PostgresDatabase) -> bool:
    with database.transaction() as work:
        return work.now().tzinfo is not None


def test_a_connection_outlives_its_token_and_a_new_one_begins_with_the_new_token(
    role: tuple[str, RoleCredential],
) -> None:
    url, credential = role
    pool = ConnectionPool(url, size=2, password=TokenPassword(credential))
    with closing(pool), pool.lend() as first:
        credential.renew()
        with first.cursor() as cursor:
            cursor.execute("SELECT 1")
        with pool.lend() as second, second.cursor() as cursor:
            cursor.execute("SELECT session_user")
            assert cursor.fetchone() == (url.split("//")[1].split("@")[0],)
    assert len(credential.scopes) == 2


def test_an_expired_token_is_waited_out_until_the_identity_has_a_new_one(role: tuple[str, RoleCredential]) -> None:
    url, credential = role
    newer = credential.expire()
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        credential.token = newer
        return False

    database = PostgresDatabase(ConnectionPool(url, size=1, password=TokenPassword(credential)))
    with closing(database):
        with pytest.raises(DatabaseUnavailableError, match="password authentication failed for user") as caught:
            answers(database)
        assert credential.token not in str(caught.value)
        outages = OutageWaiter(wait)
        outages.run(lambda: answers(database), outages.deadline(120))
    assert len(waits) == 1


def test_an_identity_that_gets_no_token_is_waited_out(role: tuple[str, RoleCredential]) -> None:
    url, credential = role
    credential.failure = CredentialUnavailableError("no managed identity endpoint")

    def wait(_: float) -> bool:
        credential.failure = None
        return False

    database = PostgresDatabase(ConnectionPool(url, size=1, password=TokenPassword(credential)))
    with closing(database):
        with pytest.raises(DatabaseUnavailableError, match="gets no token"):
            answers(database)
        outages = OutageWaiter(wait)
        outages.run(lambda: answers(database), outages.deadline(120))


def test_no_log_no_error_and_no_description_of_a_connection_shows_a_token(
    postgres: EmbeddedPostgres, unmigrated_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with password_role(postgres, unmigrated_database_url) as (name, url):
        _execute(unmigrated_database_url, sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(name)))
        credential = RoleCredential(unmigrated_database_url, name)
        password = TokenPassword(credential)
        pool = ConnectionPool(url, size=2, password=password)
        with closing(PostgresDatabase(pool)) as database:
            assert migrations.apply(database, url, password=password) == migrations.expected()
            with pool.lend() as conn:
                said = [repr(conn), conn.dsn, repr(pool), repr(password), caplog.text]
            credential.expire()
            with pool.lend(), pytest.raises(DatabaseUnavailableError) as caught, pool.lend():
                pass
            said += [repr(caught.value), *map(repr, caught.value.__dict__.values())]
    assert "applied migrations 0001" in caplog.text
    assert [each for each in said if credential.token in each or credential.token[:20] in each] == []


def test_each_connection_of_a_migration_has_a_token_of_its_own(
    postgres: EmbeddedPostgres, unmigrated_database_url: str
) -> None:
    """An index that is built concurrently has a connection of its own, hours later perhaps."""
    with password_role(postgres, unmigrated_database_url) as (name, url):
        _execute(unmigrated_database_url, sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(name)))
        credential = RoleCredential(unmigrated_database_url, name)
        password = TokenPassword(credential)
        with closing(PostgresDatabase(ConnectionPool(url, size=1, password=password))) as database:
            migrations.apply(database, url, password=password)
    concurrent = [path for path in migrations._DIRECTORY.glob("*.sql") if "transactional: false" in path.read_text()]
    assert concurrent
    assert len(credential.scopes) == 2 + len(concurrent)  # the pool's, yoyo's, and one for each of these


@pytest.mark.parametrize("way", [name for name in WAYS if name != "owner"])
def test_a_job_runs_to_its_end_as_a_role_that_only_reads_and_writes_rows(
    postgres: EmbeddedPostgres, database_url: str, app_transport: AppTransport, mailbox: Mailbox, way: str
) -> None:
    with WAYS[way](postgres, database_url) as reached:
        settings = Settings.from_environment({**reached.settings, **app_transport.settings, **LONG_DEADLINES})
        with closing(bootstrap.build(settings, [counting_job(returning(lambda index: index))])) as app:
            job_id = app.submitter.submit("counting", {"n": 150}).job_id
            reached.renew()
            app.stages.handle(mailbox.take_job_message())
            mailbox.take_tasks(app, 150).run(app)
            app.stages.handle(mailbox.take_job_message())
            assert app.status.job(job_id).job.status == "completed"
            assert app.pending_migrations() == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    directory = tmp_path_factory.mktemp("certificate")
    paths = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-out", str(paths[0]), "-keyout", str(paths[1])], check=True, capture_output=True)
    return paths


@pytest.mark.parametrize("trusted", [True, False])
def test_a_token_goes_through_tls_to_a_server_that_is_verified(
    role: tuple[str, RoleCredential],
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    url, credential = role
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setattr(connections, "database_credential", lambda _: credential)
    if trusted:
        monkeypatch.setattr(certifi, "where", lambda: str(certificate[0]))
    port = url.rpartition(":")[2].partition("/")[0]
    with TlsRelay(int(port), context) as relay:
        through = url.replace(f"127.0.0.1:{port}", f"localhost:{relay.port}") + "?sslmode=verify-full"
        given = {"DATABASE_URL": through, "DATABASE_AUTH": "entra"}
        with closing(connections.database(DatabaseSettings.from_environment(given))) as database:
            if trusted:
                assert answers(database)
                assert relay.encrypted == 1
            else:
                with pytest.raises(DatabaseUnavailableError, match="certificate verify failed"):
                    answers(database)
    # libpq asks for the credential first; an untrusted server sees nothing of it.
    assert len(credential.scopes) == 1


def _execute(url: str, statement: sql.Composable) -> None:
    with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)
