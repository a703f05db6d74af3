import json
from dataclasses import replace

import pytest

from core import json_text
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import ConstraintViolationError, RefusedValueError
from core.lanes import Lane
from core.models import Task, TaskError
from core.pages import Page, TaskPayload
from core.statuses import TaskStatus
from core.task_runs import BatchDelta, RecordedTask, TaskOutcome
from repositories.ports import Database
from tests.contract.repositories.building import (
    JOB,
    KEY,
    LEASE_SECONDS,
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


def test_outcomes_are_written(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0, 1))
    assert record(database, completed(ids(0)[0], '{"sum":3}'), failed(ids(1)[0])) == ids(0, 1)
    with database.transaction() as work:
        good, bad = (work.tasks.get(task_id) for task_id in ids(0, 1))
    assert good is not None
    assert (good.status, good.result, good.error) == (TaskStatus.COMPLETED, {"sum": 3}, None)
    assert bad is not None
    assert (bad.status, bad.result) == (TaskStatus.FAILED, None)
    assert bad.error == {"type": "ValueError", "message": "no", "traceback": ""}
    for task in (good, bad):
        assert task.finished_at is not None
        assert task.lease_expires_at is None


def test_a_recorded_task_tells_its_batch(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    with database.transaction() as work:
        recorded = work.tasks.record("mine", [completed(ids(0)[0])])
    assert recorded == [RecordedTask(ids(0)[0], f"{JOB}-s1-b0", TaskStatus.COMPLETED, send=1, not_before=None)]


def test_a_result_may_be_null(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    record(database, completed(ids(0)[0], "null"))
    with database.transaction() as work:
        task = work.tasks.get(ids(0)[0])
    assert task is not None
    assert (task.status, task.result) == (TaskStatus.COMPLETED, None)


@pytest.mark.parametrize(
    "number", [1.0, 0.1, -2.5, 1e15, 1e16, -1e16, 1.2345678901234567e16, 2e22, 1.7e308, 5e-324, 10**16, 2**70]
)
def test_a_number_of_a_result_keeps_its_type(database: Database, number: float) -> None:
    queue_batch(database)
    claim(database, ids(0))
    record(database, completed(ids(0)[0], json_text.encode({"e+16": [number, "1e+16"]})))
    with database.transaction() as work:
        task = work.tasks.get(ids(0)[0])
    assert task is not None
    assert task.result == {"e+16": [number, "1e+16"]}
    assert type(task.result["e+16"][0]) is type(number)


def test_a_retry_gets_a_time_and_the_next_send(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    with database.transaction() as work:
        (recorded,) = work.tasks.record("mine", [retrying(ids(0)[0], delay_seconds=30)])
        task = work.tasks.get(ids(0)[0])
        now = work.now()
    assert task is not None
    assert (task.status, task.finished_at, task.attempt) == (TaskStatus.RETRYING, None, 1)
    assert task.error is not None
    assert (recorded.status, recorded.send, recorded.not_before) == (TaskStatus.RETRYING, 2, task.not_before)
    assert recorded.not_before is not None
    assert recorded.not_before > now


@pytest.mark.parametrize("delay_seconds", [1e18, float("inf"), 1e12], ids=["1e18", "infinity", "the year 33,000"])
def test_a_retry_at_a_time_that_no_column_or_no_row_can_hold_is_refused(
    database: Database, delay_seconds: float
) -> None:
    queue_batch(database)
    claim(database, ids(0))
    with pytest.raises(RefusedValueError):
        record(database, retrying(ids(0)[0], delay_seconds=delay_seconds))


def test_a_zombie_changes_nothing(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0), "zombie")
    harness.pass_time(LEASE_SECONDS + 1)
    claim(harness.database, ids(0), "mine")
    assert record(harness.database, failed(ids(0)[0]), lease_id="zombie") == []
    assert record(harness.database, completed(ids(0)[0]), lease_id="mine") == ids(0)
    assert record(harness.database, failed(ids(0)[0]), lease_id="zombie") == []
    with harness.database.transaction() as work:
        task = work.tasks.get(ids(0)[0])
    assert task is not None
    assert (task.status, task.error) == (TaskStatus.COMPLETED, None)


def test_a_zombie_completes_nothing(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0), "zombie")
    harness.pass_time(LEASE_SECONDS + 1)
    claim(harness.database, ids(0), "mine")
    assert record(harness.database, completed(ids(0)[0], "1"), lease_id="zombie") == []
    assert record(harness.database, completed(ids(0)[0], "2"), lease_id="mine") == ids(0)
    assert record(harness.database, completed(ids(0)[0], "3"), lease_id="zombie") == []
    with harness.database.transaction() as work:
        task = work.tasks.get(ids(0)[0])
    assert task is not None
    assert task.result == 2


def test_an_expired_lease_that_nobody_took_still_records(harness: Harness) -> None:
    queue_batch(harness.database)
    claim(harness.database, ids(0))
    harness.pass_time(LEASE_SECONDS + 1)
    assert record(harness.database, completed(ids(0)[0])) == ids(0)


def test_an_outcome_is_written_once(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    assert record(database, completed(ids(0)[0])) == ids(0)
    assert record(database, completed(ids(0)[0])) == []


def test_only_the_held_ones_of_several_are_written(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0), "mine")
    claim(database, ids(1), "other")
    assert record(database, *(completed(task_id) for task_id in ids(0, 1, 2, 9))) == ids(0)
    assert record(database) == []


def test_a_failed_task_says_why(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    with pytest.raises(ConstraintViolationError) as caught:
        record(database, TaskOutcome(ids(0)[0], TaskStatus.FAILED))
    assert caught.value.constraint == "tasks_failed_has_error"


def test_pages_of_tasks_follow_their_ids(database: Database) -> None:
    for stage in (1, 2):
        start_stage(database, stage)
        create_batch(database, batch_of(3, stage=stage))
    start_stage(database, job_id="e" * 32)
    create_batch(database, batch_of(1, job_id="e" * 32))
    with database.transaction() as work:
        first = work.tasks.page(JOB, None, "", 4)
        second = work.tasks.page(JOB, None, first[-1].task_id, 4)
        assert work.tasks.page(JOB, None, second[-1].task_id, 4) == []
    assert [task.task_id for task in first] == [*ids(0, 1, 2), *ids(0, stage=2)]
    assert [task.task_id for task in second] == ids(1, 2, stage=2)


def test_pages_may_ask_for_one_status(database: Database) -> None:
    queue_batch(database, 5)
    claim(database, ids(1, 3))
    record(database, failed(ids(3)[0]))
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(batch_of(5).batch_id, failed=1)])  # as the engine counts them
        pages = [work.tasks.page(JOB, status, "", 10) for status in (TaskStatus.FAILED, TaskStatus.PROCESSING)]
        rest = work.tasks.page(JOB, TaskStatus.QUEUED, ids(0)[0], 1)
    assert [[task.task_id for task in page] for page in (*pages, rest)] == [ids(3), ids(1), ids(2)]


@pytest.mark.parametrize("status", [None, TaskStatus.COMPLETED])
def test_a_page_of_large_tasks_ends_at_the_limit_of_bytes(database: Database, status: TaskStatus | None) -> None:
    queue_batch(database, 7)
    claim(database, ids(*range(7)))
    # As JSON with its quotes, 1,000 bytes each; 400 characters of three bytes are larger than one page.
    record(database, *(completed(task_id, json.dumps("x" * 998)) for task_id in ids(0, 1, 2, 4, 5, 6)))
    record(database, completed(ids(3)[0], json_text.encode("\u6f22" * 1_000)))
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(batch_of(7).batch_id, completed=7)])  # as the engine counts them
        own = len(json.dumps(work.tasks.page(JOB, status, "", 1, TaskPayload)[0].parameters))
        pages: list[Page[Task]] = []
        after = ""
        while not pages or pages[-1].has_more:
            pages.append(work.tasks.page(JOB, status, after, 100, TaskPayload, max_bytes=2 * (1_000 + own)))
            after = pages[-1][-1].task_id
    assert [[task.task_index for task in page] for page in pages] == [[0, 1], [2], [3], [4, 5], [6]]


@pytest.mark.parametrize("include", [[], [TaskPayload.PARAMETERS], [TaskPayload.RESULT], list(TaskPayload)])
def test_a_page_of_tasks_has_the_payload_that_is_asked_for(database: Database, include: list[TaskPayload]) -> None:
    queue_batch(database, 3)
    claim(database, ids(0))
    record(database, completed(ids(0)[0], json.dumps("x" * 998)))
    with database.transaction() as work:
        task = work.tasks.get(ids(0)[0])
        # Only what the page has counts for its size: here, the result alone is larger than the page.
        page = work.tasks.page(JOB, None, "", 100, include, max_bytes=500)
    assert task is not None
    assert page[0] == replace(
        task,
        parameters=task.parameters if TaskPayload.PARAMETERS in include else None,
        result=task.result if TaskPayload.RESULT in include else None,
    )
    assert (len(page), page.has_more) == ((1, True) if TaskPayload.RESULT in include else (3, False))


@pytest.mark.parametrize("status", [None, TaskStatus.QUEUED])
def test_a_page_tells_whether_tasks_follow(database: Database, status: TaskStatus | None) -> None:
    queue_batch(database, 4)
    with database.transaction() as work:
        pages = [work.tasks.page(JOB, status, ids(after)[0], 2) for after in (0, 1, 2, 3)]
    assert [(len(page), page.has_more) for page in pages] == [(2, True), (2, False), (1, False), (0, False)]


def test_a_page_of_large_results_ends_at_the_limit_of_bytes(database: Database) -> None:
    queue_batch(database, 4)
    claim(database, ids(*range(4)))
    record(database, *(completed(task_id, json.dumps("x" * 998)) for task_id in ids(0, 1, 3)))
    record(database, failed(ids(2)[0]))
    with database.transaction() as work:
        error = len(json.dumps(work.tasks.results_page(KEY, 1, 1)[0].error))
        pages = [work.tasks.results_page(KEY, after, 100, max_bytes=1_000 + error) for after in (-1, 0, 1, 2, 3)]
    assert [[result.task_index for result in page] for page in pages] == [[0], [1, 2], [2, 3], [3], []]
    assert [page.has_more for page in pages] == [True, True, False, False, False]


def test_results_come_in_index_order_and_only_of_ended_tasks(database: Database) -> None:
    for stage in (1, 2):
        start_stage(database, stage)
        create_batch(database, batch_of(12, stage=stage))
    claim(database, ids(*range(12)))
    claim(database, ids(0, stage=2))
    record(database, completed(ids(0, stage=2)[0]))
    record(database, *(completed(task_id) for task_id in ids(11, 2, 10)), failed(ids(3)[0]), retrying(ids(4)[0]))
    with database.transaction() as work:
        pages = [work.tasks.results_page(KEY, after, 3) for after in (-1, 0, 10, 11)]
    assert [[result.task_index for result in page] for page in pages] == [[2, 3, 10], [2, 3, 10], [11], []]
    good, bad = pages[0][:2]
    assert (good.task_type, good.status, good.result, good.error) == ("greet", TaskStatus.COMPLETED, "done", None)
    assert (bad.status, bad.result) == (TaskStatus.FAILED, None)
    assert bad.error is not None


def test_the_first_page_of_results_begins_at_index_0(database: Database) -> None:
    queue_batch(database)
    claim(database, ids(0))
    record(database, completed(ids(0)[0]))
    with database.transaction() as work:
        assert [result.task_index for result in work.tasks.results_page(KEY, -1, 10)] == [0]


def error_of(kind: str, message: str) -> str:
    return json_text.encode({"type": kind, "message": message, "traceback": message * 2})


def test_the_errors_of_the_failed_tasks_of_a_stage_are_read_in_index_order(database: Database) -> None:
    for stage in (1, 2):
        start_stage(database, stage)
        create_batch(database, batch_of(12, stage=stage))
    claim(database, ids(*range(12)))
    claim(database, ids(*range(12), stage=2))
    record(database, *(failed(task_id, error_of("OSError", "gone")) for task_id in ids(*range(12), stage=2)))
    count(database, batch_of(12, stage=2), 0, 12)
    with database.transaction() as work:
        assert work.tasks.first_errors(KEY, 100) == []
    record(
        database,
        *(completed(task_id) for task_id in ids(0, 1, 2)),
        retrying(ids(3)[0]),
        *(failed(task_id, error_of("ValueError", "bad")) for task_id in ids(4, 11)),
        *(failed(task_id, error_of("OSError", "bad")) for task_id in ids(10, 5, 9)),
        failed(ids(6)[0], error_of("OSError", "worse")),
    )
    count(database, batch_of(12), 3, 6)
    with database.transaction() as work:
        found = work.tasks.first_errors(KEY, 100)
        assert work.tasks.first_errors(KEY, 4) == found[:4]
    assert found == [
        TaskError(task_id, kind, message)
        for task_id, kind, message in zip(
            ids(4, 5, 6, 9, 10, 11),
            ["ValueError", "OSError", "OSError", "OSError", "OSError", "ValueError"],
            ["bad", "bad", "worse", "bad", "bad", "bad"],
            strict=True,
        )
    ]


def test_the_first_errors_of_a_stage_of_two_lanes_are_those_of_the_first_tasks_of_both(database: Database) -> None:
    """The batch of the long lane is closed after those of the fast lane, and has the first task."""
    start_stage(database)
    batches = [
        AlignedBatch(JOB, 1, number, lane, tuple(TaskDefinition("greet", {}, index) for index in indexes))
        for number, (lane, indexes) in enumerate(
            [(Lane.FAST, [1]), (Lane.FAST, [2]), (Lane.FAST, [3, 4]), (Lane.LONG, [0, 5])]
        )
    ]
    for batch in batches:
        create_batch(database, batch)
    claim(database, ids(*range(6)))
    record(database, completed(ids(1)[0]), *map(failed, ids(0, 2, 3, 4, 5)))
    for batch, (well, badly) in zip(batches, [(1, 0), (0, 1), (0, 2), (0, 2)], strict=True):
        count(database, batch, well, badly)
    with database.transaction() as work:
        assert [error.task_id for error in work.tasks.first_errors(KEY, 1)] == ids(0)
        assert [error.task_id for error in work.tasks.first_errors(KEY, 3)] == ids(0, 2, 3)
        assert [error.task_id for error in work.tasks.first_errors(KEY, 10)] == ids(0, 2, 3, 4, 5)


def count(database: Database, batch: AlignedBatch, completed: int, failed: int) -> None:
    """Counts outcomes on their batch, as their transaction does."""
    with database.transaction() as work:
        work.batches.apply_outcomes([BatchDelta(batch.batch_id, completed, failed)])
