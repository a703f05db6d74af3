"""What a change of a task writes: a new version of its row on the same page, and nothing to an index."""

from collections import Counter

from core.statuses import BatchStatus
from repositories.postgres import PostgresDatabase
from tests.contract.repositories.building import (
    batch_of,
    claim,
    completed,
    create_batch,
    ids,
    record,
    start_job,
    start_stage,
)

_TASKS = 100
_UPDATES = "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = 'tasks'"
_CHANGES = 3
"""Of each task: it is marked as queued, claimed, and recorded."""


def test_no_change_of_a_task_that_completes_writes_to_an_index(postgres_database: PostgresDatabase) -> None:
    database = postgres_database
    with database.transaction() as work:
        work.repository(lambda rows: rows).execute("TRUNCATE tasks")  # no rows of earlier tests on its pages
    before = updates(database)
    start_job(database)
    start_stage(database)
    batch = batch_of(_TASKS)
    create_batch(database, batch, BatchStatus.PENDING_QUEUE)
    with database.transaction() as work:
        assert work.batches.mark_queued(batch.batch_id, 1)
    claimed = claim(database, ids(*range(_TASKS)))
    record(database, *map(completed, claimed))

    assert updates(database) - before == Counter(all=_CHANGES * _TASKS, hot=_CHANGES * _TASKS)


def updates(database: PostgresDatabase) -> Counter[str]:
    """All updates of tasks so far, and those that wrote to no index."""
    with database.transaction() as work:
        work.repository(lambda rows: rows).one("SELECT pg_stat_force_next_flush() IS NULL AS is_flushed")
    with database.transaction() as work:
        return Counter(work.repository(lambda rows: rows).one(_UPDATES))
