"""What people read of tasks."""

from repositories.ports import Database
from tests.contract.repositories.building import claim, completed, ids, queue_batch, record


def checkpoint_of(database: Database, task_id: str) -> object:
    with database.transaction() as work:
        return work.task_listing.checkpoint(task_id)


def test_a_task_has_its_last_checkpoint_until_it_completes(database: Database) -> None:
    queue_batch(database)
    (task_id,) = claim(database, ids(0))
    assert checkpoint_of(database, task_id) is None
    for checkpoint in ('{"row":1}', '{"row":2}'):
        with database.transaction() as work:
            assert work.tasks.write_checkpoint(task_id, "mine", checkpoint)
    assert checkpoint_of(database, task_id) == {"row": 2}
    record(database, completed(task_id))
    assert checkpoint_of(database, task_id) is None


def test_a_task_that_does_not_exist_has_no_checkpoint(database: Database) -> None:
    assert checkpoint_of(database, *ids(7)) is None
