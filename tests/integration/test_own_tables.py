"""A job type with its own table, SQL and migration is a package and one line of the registry, on the real parts."""

from contextlib import closing

import psycopg2
import pytest

from api import health
from controllers.registry import CONTROLLERS
from engine.process.health_probe import HealthProbe
from tests.integration.conftest import BuildApp
from tests.integration.page_visits import PageVisits
from tests.integration.page_visits.visits import Visits
from tests.support.mailbox import Mailbox
from tests.unit.api.support import body, get
from wiring import App

REGISTERED = (*CONTROLLERS, PageVisits)
MIGRATION = "page_visits.0001.page_visits"
MONDAY, TUESDAY = "2026-03-02", "2026-03-03"


@pytest.fixture
def app(build_app: BuildApp, unmigrated_database_url: str) -> App:
    """With a database of its own, whose schema no other test shares."""
    return build_app(REGISTERED, DATABASE_URL=unmigrated_database_url)


def run(app: App, mailbox: Mailbox, pages_by_day: dict[str, list[str]]) -> object:
    """Runs a job as the triggers do; returns its result."""
    job_id = app.submitter.submit("page_visits", {"pages_by_day": pages_by_day}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, len(pages_by_day)).run(app)
    app.stages.handle(mailbox.take_job_message())
    job = app.status.job(job_id).job
    assert job.status == "completed", job.error
    return job.result


def visits(app: App, day: str) -> dict[str, int]:
    with app.database.transaction() as work:
        return work.repository(Visits).of_day(day)


def migrations_check() -> str:
    """What `GET /api/health` says of the migrations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "probe", HealthProbe(health.CHECKS, answer_seconds=120))
        answer = health.health._function.get_user_function()(get(""))
    return str(body(answer)["checks"]["migrations"])


def test_its_rows_are_written_and_those_of_a_second_run_replace_them(app: App, mailbox: Mailbox) -> None:
    assert run(app, mailbox, {MONDAY: ["/", "/a\tb", "/"], TUESDAY: ["/"]}) == [3]
    assert (visits(app, MONDAY), visits(app, TUESDAY)) == ({"/": 2, "/a\tb": 1}, {"/": 1})

    assert run(app, mailbox, {MONDAY: ["/new"]}) == [1]
    assert (visits(app, MONDAY), visits(app, TUESDAY)) == ({"/new": 1}, {"/": 1})


def test_its_migration_is_applied_and_reported_where_it_is_missing(
    app: App, unmigrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "app", lambda: app)
    assert migrations_check() == "ok"

    with closing(psycopg2.connect(unmigrated_database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", (MIGRATION,))
        assert cursor.rowcount == 1

    assert migrations_check() == f"pending: {MIGRATION}"
