"""What people read of tasks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from core.error_groups import READ_CHARACTERS
from core.lanes import Lane
from core.models import TaskError
from core.pages import TaskPayload
from core.task_runs import BatchDelta
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    OTHER_JOB,
    batch_of,
    claim,
    completed,
    create_batch,
    failed,
    ids,
    queue_batch,
    record,
    retrying,
    start_stage,
)
from tests.contract.repositories.harness import Harness


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


def say(harness: Harness, index: int, progress: float, note: str | None) -> None:
    harness.pass_time(1)
    with harness.database.transaction() as work:
        assert work.tasks.write_progress(ids(index)[0], "mine", progress, note)


def noted(database: Database, job_id: str = JOB, **limits: int) -> list[tuple[str, int, float, str | None]]:
    with database.transaction() as work:
        notes = work.task_listing.progress_notes(job_id, **limits)
    assert [note.progress_at for note in notes] == sorted((note.progress_at for note in notes), reverse=True)
    return [(note.task_id, note.stage, note.progress, note.progress_note) for note in notes]


def test_what_running_tasks_said_last_is_listed_the_newest_first(harness: Harness) -> None:
    database = harness.database
    start_stage(database)
    for index, lane in enumerate([Lane.FAST, Lane.FAST, Lane.LONG]):
        create_batch(database, replace(batch_of(2, index), lane=lane))
    claim(database, ids(0, 1, 2, 3, 4))
    assert noted(database) == []
    say(harness, 0, 0.1, "the first")
    say(harness, 2, 0.2, None)
    say(harness, 4, 0.3, "a long one")
    say(harness, 0, 0.4, "the first again")
    first, second, long = (ids(index)[0] for index in (0, 2, 4))
    said = [(first, 1, 0.4, "the first again"), (long, 1, 0.3, "a long one"), (second, 1, 0.2, None)]
    assert noted(database) == said
    assert noted(database, notes=2) == said[:2]
    assert noted(database, batches=1) == [said[1]]  # that of the long tasks
    assert noted(database, batches=2) == said[:2]
    assert noted(database, OTHER_JOB) == []


def test_a_task_that_no_longer_runs_says_nothing(harness: Harness) -> None:
    database = harness.database
    queue_batch(database)
    claim(database, ids(0, 1))
    say(harness, 0, 0.5, "half")
    say(harness, 1, 0.5, "half")
    record(database, completed(ids(0)[0]), retrying(ids(1)[0]))
    assert noted(database) == []


def error(message: str) -> str:
    return json.dumps({"type": "ValueError", "message": message})


@pytest.fixture
def failures(database: Database) -> Database:
    """Four batches of three tasks; the tasks 1, 2, 6 and 9 have failed, and 7 has completed."""
    start_stage(database)
    for index in range(4):
        create_batch(database, batch_of(3, index))
    fail(database, {0: [1, 2], 2: [6], 3: [9]})
    claim(database, ids(7))
    record(database, completed(*ids(7)))
    return database


def fail(database: Database, indexes_of_batches: Mapping[int, Sequence[int]]) -> None:
    for batch, indexes in indexes_of_batches.items():
        claim(database, ids(*indexes))
        record(database, *(failed(task_id, error(f"no {task_id}")) for task_id in ids(*indexes)))
        with database.transaction() as work:
            work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b{batch}", 0, len(indexes))])


def read(database: Database, after: str = "", *, batches: int = 50, tasks: int = 1_000) -> tuple[list[str], bool]:
    with database.transaction() as work:
        page = work.task_listing.errors(JOB, after, batches, tasks)
    return [each.task_id for each in page], page.has_more


def test_the_errors_of_failed_tasks_are_read_in_order(failures: Database) -> None:
    assert read(failures) == (ids(1, 2, 6, 9), False)
    with failures.transaction() as work:
        first = work.task_listing.errors(JOB, "")[0]
        assert work.task_listing.failed_count(JOB) == 4
    assert first == TaskError(ids(1)[0], "ValueError", f"no {ids(1)[0]}")


def test_a_page_of_errors_ends_with_a_batch(failures: Database) -> None:
    assert read(failures, batches=2) == (ids(1, 2, 6), True)
    assert read(failures, *ids(6), batches=2) == (ids(9), False)
    assert read(failures, *ids(9), batches=2) == ([], False)


def test_a_page_of_errors_ends_after_a_batch_with_many_of_them(failures: Database) -> None:
    assert read(failures, tasks=1) == read(failures, tasks=3) == (ids(1, 2, 6), True)
    assert read(failures, tasks=4) == (ids(1, 2, 6, 9), False)
    assert read(failures, *ids(2), tasks=1) == (ids(6), True)


def test_errors_are_read_after_any_task(failures: Database) -> None:
    assert read(failures, *ids(1), batches=2) == (ids(2, 6), True)
    assert read(failures, *ids(4), batches=2) == (ids(6, 9), False)
    assert read(failures, *ids(0)) == (ids(1, 2, 6, 9), False)


def test_no_error_follows_a_task_that_does_not_exist(failures: Database) -> None:
    assert read(failures, *ids(99)) == ([], False)


def test_errors_of_several_stages_are_read_in_their_order(failures: Database) -> None:
    start_stage(failures, 2)
    create_batch(failures, batch_of(3, stage=2))
    second = ids(0, stage=2)
    claim(failures, second)
    record(failures, *(failed(task_id) for task_id in second))
    with failures.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s2-b0", 0, 1)])
    assert read(failures, *ids(6)) == ([*ids(9), *second], False)
    assert read(failures, *ids(9)) == (second, False)


def test_a_job_without_failures_has_no_errors(database: Database) -> None:
    queue_batch(database)
    assert read(database) == ([], False)
    with database.transaction() as work:
        assert (work.task_listing.failed_count(JOB), work.task_listing.failed_count("f" * 32)) == (0, 0)


def test_a_long_message_is_cut(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    record(database, failed(ids(0)[0], error("ä" * 2_000)))
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b0", 0, 1)])
        (only,) = work.task_listing.errors(JOB, "")
    assert only.message == "ä" * READ_CHARACTERS


def test_an_error_without_a_type_or_a_message_has_empty_ones(database: Database) -> None:
    """No version of the app writes one; a person may."""
    queue_batch(database)
    claim(database, ids(0))
    record(database, failed(ids(0)[0], '{"type": null, "message": null}'))
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(f"{JOB}-s1-b0", 0, 1)])
        expected = TaskError(ids(0)[0], "", "")
        assert list(work.task_listing.errors(JOB, "")) == work.tasks.first_errors(KEY, 1) == [expected]
        (failed_task,) = work.parts.failed_tasks(KEY, 1)
    assert (failed_task.error_type, failed_task.error_message) == ("", "")


def test_tasks_are_read_in_the_order_of_the_given_ids(failures: Database) -> None:
    wanted = ids(6, 1, 99, 9)
    with failures.transaction() as work:
        page = work.task_listing.of_ids(wanted)
        assert page == [work.task_listing.of_ids([task_id])[0] for task_id in ids(6, 1, 9)]
        whole = work.task_listing.of_ids(wanted, TaskPayload)
        assert whole == [work.tasks.get(task_id) for task_id in ids(6, 1, 9)]
    assert ([task.parameters for task in page], page.has_more) == ([None] * 3, False)


def test_a_page_of_tasks_ends_at_the_limit_of_bytes(failures: Database) -> None:
    with failures.transaction() as work:
        pages = [work.task_listing.of_ids(ids(6, 1, 9), max_bytes=size) for size in (1, 500, 10_000)]
    assert [(len(page), page.has_more) for page in pages] == [(1, True), (2, True), (3, False)]
