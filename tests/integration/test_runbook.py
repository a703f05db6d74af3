"""The queries of the runbook run on the schema, and find what they are for."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from core.job_events import Repair
from core.messages import ReceivedMessage
from core.models import StageKey
from core.statuses import BatchStatus
from engine.process.keeping import UNREADABLE, keep
from repositories.postgres import PostgresDatabase
from tests.contract.repositories.building import batch_of, write_batch

_PAGE = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
_QUERIES = dict(re.findall(r"^\| ([^|`]+\?) \| `(SELECT .*?)` \|$", _PAGE, re.MULTILINE))
_JOB_ID = "ab" * 16


def _answers(database_url: str) -> dict[str, list[dict[str, Any]]]:
    found = {}
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        for question, query in _QUERIES.items():
            cursor.execute(query.replace("0123456789abcdef" * 2, _JOB_ID))
            names = [each.name for each in cursor.description or ()]
            found[question] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def test_every_query_of_the_page_is_one_of_its_tables() -> None:
    assert len(_QUERIES) == _PAGE.count("`SELECT ") > 15


def test_the_queries_find_a_job_that_does_not_move_on(postgres_database: PostgresDatabase, database_url: str) -> None:
    key = StageKey(_JOB_ID, 1)
    with postgres_database.transaction() as work:
        work.jobs.create(_JOB_ID, "counting", "{}", 1)
        work.jobs.start(_JOB_ID)
        work.stages.create(key, "one", 0.0)
        write_batch(work, batch_of(3, job_id=_JOB_ID), BatchStatus.PENDING_QUEUE)
        work.events.repaired(Repair.SILENT_TASKS, {key: 2})
    keep(postgres_database, "sb-tasks", ReceivedMessage(b"?", "m", 1), UNREADABLE, "no JSON")
    found = _answers(database_url)
    assert [(each["job_id"], each["subject"]) for each in found["what was repaired, how often?"]] == [
        (_JOB_ID, "silent_tasks")
    ]
    assert [(each["stage"], each["status"]) for each in found["where does the job stand?"]] == [(1, "dispatching")]
    assert [(each["status"], each["tasks"]) for each in found["what do its tasks wait for?"]] == [("pending_queue", 3)]
    assert [each["batches"] for each in found["how old are batches, and what did the broker say?"]] == [1]
    assert [each["reason"] for each in found["which are open?"]] == [UNREADABLE]
    assert [each["letters"] for each in found["is it one cause?"]] == [1]
    assert [each["in_an_hour"] for each in found["did any arrive?"]] == [1]
    assert {"tasks", "jobs"} & {each["relname"] for each in found["what is large?"]}
