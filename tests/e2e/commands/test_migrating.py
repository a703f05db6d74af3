"""The step of a deployment that migrates, run by the command from a checkout of the app."""

import sys
import uuid
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from local.stack import ROOT
from tests.e2e.commands.command_lines import run

pytestmark = [pytest.mark.one_worker("commands"), pytest.mark.waits, pytest.mark.timeout(900)]


@pytest.fixture
def role(unmigrated_database_url: str) -> Iterator[str]:
    """A role for the app, which has no rights yet."""
    name = f"app_{uuid.uuid4().hex}"
    _execute(unmigrated_database_url, f'CREATE ROLE "{name}"')
    yield name
    _execute(unmigrated_database_url, f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


def test_it_checks_migrates_and_grants(
    unmigrated_database_url: str, role: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", unmigrated_database_url)
    run(f"lockstep migrate --app {ROOT} --python {sys.executable} --check", expected=1)
    assert "0001.tables" in capfd.readouterr().out
    run(f"lockstep migrate --app {ROOT} --python {sys.executable} --wait 240 --app-role {role}")
    run(f"lockstep migrate --app {ROOT} --python {sys.executable} --check")
    run("lockstep migrate --app /", expected=2)


def _execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)
