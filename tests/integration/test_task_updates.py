"""What a change of a task writes: a new version of its row on the same page, and nothing to an index."""

from collections import Counter
from dataclasses import replace

import pytest

from core.statuses import BatchStatus, TaskStatus
from engine.stages.batch_sender import BatchSender
from repositories.postgres import PostgresDatabase
from tests.contract.repositories.building import (
    DISPATCHER,
    JOB,
    KEY,
    LEASE_SECONDS,
    batch_of,
    claim,
    completed,
    create_batch,
    ids,
    record,
    start_job,
    start_stage,
)
from tests.fakes.queue import FakeQueue
from tests.support.waiting import wait_until

_TASKS = 100
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_UPDATES = "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = 'tasks'"


@pytest.mark.owns_tables
@pytest.mark.parametrize(("enveloped", "changes"), [(False, 3), (True, 2)])
def test_no_change_of_a_task_that_completes_writes_to_an_index(
    postgres_database: PostgresDatabase, *, enveloped: bool, changes: int
) -> None:
    """A task is marked as queued, unless an envelope carries it, claimed, and recorded."""
    database = postgres_database
    # A session tells the statistics what it has written when it ends, which takes it a moment.
    wait_until(lambda: others(database) == 0)
    with database.transaction() as work:
        work.repository(lambda rows: rows).execute("TRUNCATE tasks")  # no rows of earlier tests on its pages
    before = updates(database)
    start_job(database)
    start_stage(database)
    batch = replace(batch_of(_TASKS), enveloped=enveloped)
    create_batch(database, batch, BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.batches.mark_queued(batch.batch_id, 1, enveloped=enveloped)
    claimed = claim(database, ids(*range(_TASKS)))
    record(database, *map(completed, claimed))

    assert updates(database) - before == Counter(all=changes * _TASKS, hot=changes * _TASKS)


def test_a_dispatch_writes_the_rows_of_the_tasks_in_an_envelope_once(postgres_database: PostgresDatabase) -> None:
    database, queue = postgres_database, FakeQueue()
    wait_until(lambda: others(database) == 0)
    start_job(database)
    start_stage(database)
    batch = replace(batch_of(_TASKS), enveloped=True)
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, DISPATCHER, LEASE_SECONDS)
    before = updates(database)
    assert BatchSender(database, queue).two_phase(batch, DISPATCHER)
    assert updates(database) - before == Counter()
    with database.transaction() as work:
        assert {task.status for task in work.tasks.page(JOB, None, "", _TASKS)} == {TaskStatus.QUEUED}


def others(database: PostgresDatabase) -> int:
    """How many other sessions this database has."""
    with database.transaction() as work:
        return int(work.repository(lambda rows: rows).one(_OTHERS)["count"])


def updates(database: PostgresDatabase) -> Counter[str]:
    """All updates of tasks so far, and those that wrote to no index."""
    with database.transaction() as work:
        work.repository(lambda rows: rows).one("SELECT pg_stat_force_next_flush() IS NULL AS is_flushed")
    with database.transaction() as work:
        return Counter(work.repository(lambda rows: rows).one(_UPDATES))
