"""The queries that the page on reliability gives to operators find what they say."""

import re
from contextlib import closing
from pathlib import Path

import psycopg2

from core.job_events import Repair
from core.job_waits import StartConditions
from core.models import StageKey
from core.statuses import BatchStatus, JobStatus, TaskStatus
from core.task_runs import TaskOutcome
from tests.contract.repositories.building import batch_of, write_batch
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job
from tests.support.mailbox import Mailbox

_PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
_QUERIES = re.findall(r"`(SELECT .*?)`", _PAGE[_PAGE.index("## Shutdown") : _PAGE.index("## Limits")])

_STORY = re.findall(r"`(SELECT .*?)`", _PAGE[_PAGE.index("## The story of a job") : _PAGE.index("## Shutdown")])


def test_the_queries_find_what_a_stopped_process_has_left(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    app = build_app([counting_job(lambda context, parameters: None)])
    job_id = app.submitter.submit("counting", {"n": 5}).job_id
    app.stages.handle(mailbox.take_job_message())
    with app.database.transaction() as work:
        left, released, interrupted, undisturbed, _waiting = (
            task.task_id for task in work.tasks.page(job_id, None, "", 10)
        )
        work.tasks.claim([left, released, interrupted], "gone", 0)
        work.tasks.release([released], "gone")
    with app.database.transaction() as work:
        work.tasks.claim([interrupted, undisturbed], "next", 50)
        work.tasks.record("next", [TaskOutcome(each, TaskStatus.COMPLETED) for each in (interrupted, undisturbed)])
    other = app.submitter.submit("counting", {"n": 6}).job_id
    with app.database.transaction() as work:
        work.jobs.start(other)
        work.stages.create(StageKey(other, 1), "one", 0.0)
    full = StageKey(app.submitter.submit("counting", {"n": 7}).job_id, 1)
    with app.database.transaction() as work:
        work.jobs.start(full.job_id)
        work.stages.create(full, "one", 0.0)
        write_batch(work, batch_of(7, job_id=full.job_id), BatchStatus.QUEUED)
        work.stages.acquire_dispatch_lease(full, "mine", 50)
        assert work.stages.wait_for_room(full, "mine", 0)
    found = []
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        for query in _QUERIES:
            cursor.execute(query)
            found.append([row[0] for row in cursor.fetchall()])
    assert found == [[left], [released], [left], [interrupted], [other], [full.job_id]]


def test_the_queries_of_the_story_find_steps_repairs_and_reasons(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    app = build_app([counting_job(lambda context, parameters: None)])
    job_id = app.submitter.submit("counting", {"n": 2}).job_id
    after = StartConditions(after=(job_id,))
    waiting = app.submitter.submit("counting", {"n": 3}, conditions=after).job_id
    app.stages.handle(mailbox.take_job_message())
    key = StageKey(job_id, 1)
    with app.database.transaction() as work:
        work.events.repaired(Repair.SILENT_TASKS, {key: 2})
        work.jobs.finish(job_id, JobStatus.FAILED, None, '{"type": "E", "message": "no", "stage": 1}')
    found = []
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        for query in _STORY:
            cursor.execute(query.replace("0123456789abcdef" * 2, job_id))
            found.append(cursor.fetchall())
    steps, repairs, reasons, waits, dispatches = found
    assert [row[1] for row in steps] == ["submitted", "stage_started", "stage_dispatched", "repaired", "failed"]
    assert [row[:4] for row in repairs] == [(job_id, 1, "silent_tasks", 1)]
    assert [row[2:] for row in reasons] == [("E", "no")]
    assert waits == [(waiting, None, None, None, [job_id])]
    assert [row[:2] for row in dispatches] == [(job_id, 1)]
    mailbox.take_tasks(app, 2)
