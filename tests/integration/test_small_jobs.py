"""What a job of one task costs: messages to PostgreSQL, each of which is a round trip."""

from typing import Any

import pytest

from core.statuses import JobStatus
from repositories.guarded_connection import GuardedCursor
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox

_MESSAGES = 22
"""2 for the submission, 10 for the dispatch, 6 for the task and 4 for the end (docs/decisions/0033)."""


def test_a_job_of_one_task_makes_few_round_trips(
    build_app: BuildApp, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build_app([counting_job(returning(lambda index: index))])
    messages: list[str] = []
    execute = GuardedCursor.execute

    def counted(self: GuardedCursor, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's name
        messages.append(str(query))
        execute(self, query, vars)

    monkeypatch.setattr(GuardedCursor, "execute", counted)
    job_id = app.submitter.submit("counting", {"n": 1}).job_id
    app.stages.handle(mailbox.take_job_message())
    dispatched = len(messages)
    tasks = mailbox.take_tasks(app, 1)
    del messages[dispatched:]  # the mailbox reads which tasks an envelope is about
    tasks.run(app)
    app.stages.handle(mailbox.take_job_message())
    made = len(messages)
    assert app.status.job(job_id).job.status == JobStatus.COMPLETED
    assert made <= _MESSAGES, "\n\n".join(messages)
