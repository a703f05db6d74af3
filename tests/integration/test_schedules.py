"""Hosts that run their timers at the same moment submit one job for a tick: real database, real broker."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import psycopg2

from controllers.registry import Registry
from controllers.schedule import Schedule
from core.lanes import JOBS_QUEUE
from core.messages import JobMessage
from engine.jobs.scheduler import Scheduler
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox

HOSTS = 4


def test_hosts_that_run_at_once_submit_one_job_for_the_ticks_that_were_missed(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    job_type = counting_job(returning(lambda index: index))
    app = build_app([job_type])
    schedules = [Schedule("0 0 * * 0", "counting", {"n": 1})]
    hosts = [Scheduler(app.database, Registry([job_type], schedules), app.submitter) for _ in range(HOSTS)]
    assert hosts[0].run() == 0
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("UPDATE schedules SET seen_at = now() - interval '30 days'")
    together = Barrier(HOSTS)

    def run(host: Scheduler) -> int:
        together.wait()
        return host.run()

    with ThreadPoolExecutor(HOSTS) as threads:
        assert sum(threads.map(run, hosts)) >= 1
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT j.job_id, s.last_job_id FROM jobs AS j, schedules AS s")
        ((job_id, noted),) = cursor.fetchall()
    assert job_id == noted
    assert {JobMessage.decode(message.body).job_id for message in mailbox.take(JOBS_QUEUE)} == {job_id}
