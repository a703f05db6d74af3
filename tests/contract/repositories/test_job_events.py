"""Every change of a job or a stage writes its event, once and with the change."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.job_events import MAX_LETTER_IDS, MAX_SUBJECT_LENGTH, JobEvent, JobEventKind, Repair
from core.models import StageKey, StageOpening
from core.pages import Page
from core.statuses import BatchStatus, JobStatus, StageStatus
from core.task_runs import BatchDelta
from repositories.ports import Database, DeadLetter, UnitOfWork
from tests.contract.repositories.building import (
    DISPATCHER,
    JOB,
    KEY,
    LEASE_SECONDS,
    OTHER_JOB,
    batch_of,
    claim,
    create_batch,
    create_job,
    end_batch,
    ids,
    queue_batch,
    record,
    retrying,
    run_dispatch,
    start_job,
    start_stage,
)
from tests.contract.repositories.harness import Harness, await_waiting
from tests.support.waiting import LONG_SECONDS, wait_until

DAY_SECONDS = 24 * 60 * 60
WAIT_SECONDS = LONG_SECONDS
ERROR = '{"type": "ValueError", "message": "no", "stage": 1}'


def events(database: Database, job_id: str = JOB, after_id: int = 0, limit: int = 100) -> list[JobEvent]:
    with database.transaction() as work:
        return work.events.page(job_id, after_id, limit)


def story(database: Database, job_id: str = JOB) -> list[tuple[str, int, int, Any]]:
    """Kind, stage, opening and details of a job's events."""
    return [(event.kind.value, event.stage, event.opening, event.details) for event in events(database, job_id)]


def told(database: Database, kind: JobEventKind) -> Iterator[JobEvent]:
    return (event for event in events(database) if event.kind == kind)


def change(database: Database, action: Callable[[UnitOfWork], object]) -> object:
    with database.transaction() as work:
        return action(work)


def test_a_submission_is_told_once(database: Database) -> None:
    create_job(database)
    assert not change(database, lambda work: work.jobs.create(JOB, "hello_world", "{}", 1))
    assert story(database) == [("submitted", 0, 0, {"job_type": "hello_world"})]
    (event,) = events(database)
    assert (event.job_id, event.subject, event.times, event.last_at) == (JOB, None, 1, event.at)


def test_a_change_that_is_rolled_back_leaves_no_event(database: Database) -> None:
    def fail(work: UnitOfWork) -> None:
        work.jobs.create(JOB, "hello_world", "{}", 1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        change(database, fail)
    assert events(database) == []


def test_a_stage_tells_its_beginning_its_dispatch_and_its_end(database: Database) -> None:
    batch = queue_batch(database, 3)
    assert not change(database, lambda work: work.stages.create(KEY, "again", 0.0))
    run_dispatch(database, 3, 1)
    end_batch(database, batch.batch_id, completed=3)
    assert change(database, lambda work: work.stages.finish_if_complete(KEY))
    assert not change(database, lambda work: work.stages.finish_if_complete(KEY))
    assert story(database)[1:] == [
        ("stage_started", 1, 0, {"name": "stage 1"}),
        ("stage_dispatched", 1, 0, {"tasks": 3, "batches": 1}),
        ("stage_finished", 1, 0, {"completed": 3, "failed": 0, "cancelled": 0}),
    ]


def test_a_dispatcher_that_lost_its_lease_tells_nothing(database: Database) -> None:
    start_stage(database)
    assert not change(database, lambda work: work.stages.finish_dispatch(KEY, DISPATCHER, 3, 1))
    assert [kind for kind, *_ in story(database)] == ["submitted", "stage_started"]


def test_a_stage_that_fails_tells_what_is_left_and_when_its_last_task_has_ended(database: Database) -> None:
    start_stage(database)
    batches = [batch_of(2, index) for index in range(3)]
    for batch in batches:
        create_batch(database, batch)
    run_dispatch(database, 6, 3)
    end_batch(database, batches[0].batch_id, completed=1, failed=1)
    assert change(database, lambda work: work.stages.finish_if_complete(KEY))
    end_batch(database, batches[1].batch_id, completed=2)
    end_batch(database, batches[2].batch_id, completed=2)
    assert story(database)[3:] == [
        ("stage_failed", 1, 0, {"completed": 1, "failed": 1, "cancelled": 0, "open_batches": 2}),
        ("tasks_ended", 1, 0, {"completed": 5, "failed": 1, "cancelled": 0}),
    ]


@pytest.mark.parametrize(
    ("status", "kind"), [(StageStatus.FAILED, "stage_failed"), (StageStatus.CANCELLED, "stage_cancelled")]
)
def test_a_stage_that_is_stopped_tells_it_once(database: Database, status: StageStatus, kind: str) -> None:
    batch = queue_batch(database, 2)
    assert change(database, lambda work: work.stages.stop(KEY, status))
    assert not change(database, lambda work: work.stages.stop(KEY, status))
    end_batch(database, batch.batch_id, completed=2)
    assert story(database)[2:] == [
        (kind, 1, 0, {"completed": 0, "failed": 0, "cancelled": 0, "open_batches": 1}),
        ("tasks_ended", 1, 0, {"completed": 2, "failed": 0, "cancelled": 0}),
    ]


def test_a_stage_without_batches_leaves_nothing_open(database: Database) -> None:
    start_stage(database)
    change(database, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))
    assert [kind for kind, *_ in story(database)] == ["submitted", "stage_started", "stage_cancelled"]
    assert story(database)[-1][3]["open_batches"] == 0


@pytest.mark.parametrize(
    ("status", "error", "details"),
    [
        (JobStatus.COMPLETED, None, {}),
        (JobStatus.COMPLETED_WITH_ERRORS, ERROR, {"error": {"type": "ValueError", "message": "no", "stage": 1}}),
        (JobStatus.FAILED, ERROR, {"error": {"type": "ValueError", "message": "no", "stage": 1}}),
        (JobStatus.CANCELLED, None, {}),
    ],
)
def test_a_job_tells_its_end_once_and_why(
    database: Database, status: JobStatus, error: str | None, details: object
) -> None:
    start_job(database)
    start_stage(database)
    assert change(database, lambda work: work.jobs.finish(JOB, status, None, error))
    assert not change(database, lambda work: work.jobs.finish(JOB, JobStatus.CANCELLED, None, None))
    assert story(database)[2:] == [(status.value, 1, 0, details)]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [(JobStatus.FAILED, ERROR, "retried"), (JobStatus.CANCELLED, None, "resumed")],
)
def test_a_reopened_job_names_its_new_opening_and_so_does_its_next_end(
    database: Database, status: JobStatus, error: str | None, kind: str
) -> None:
    start_job(database)
    start_stage(database)
    change(database, lambda work: work.jobs.finish(JOB, status, None, error))
    change(database, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))
    with database.transaction() as work:
        assert work.jobs.reopen(JOB, {status})
        assert work.stages.reopen(KEY, failed_too=False)
    assert not change(database, lambda work: work.jobs.reopen(JOB, {status}))
    change(database, lambda work: work.jobs.finish(JOB, JobStatus.CANCELLED, None, None))
    assert [row[:3] for row in story(database)[4:]] == [(kind, 1, 1), ("cancelled", 1, 1)]


def test_a_job_that_had_not_begun_is_told_without_a_stage(database: Database) -> None:
    create_job(database)
    change(database, lambda work: work.jobs.finish(JOB, JobStatus.CANCELLED, None, None))
    change(database, lambda work: work.jobs.reopen(JOB, {JobStatus.CANCELLED}))
    assert [row[:3] for row in story(database)] == [("submitted", 0, 0), ("cancelled", 0, 0), ("resumed", 0, 0)]


def test_repairs_of_a_stage_share_one_event_however_often_they_repeat(harness: Harness) -> None:
    database = harness.database
    create_job(database)
    harness.pass_time(10)
    change(database, lambda work: work.events.repaired(Repair.SILENT_TASKS, {KEY: 70, StageKey(JOB, 0): 1}))
    for _ in range(3):
        change(database, lambda work: work.events.repaired(Repair.SILENT_TASKS, {KEY: 10}))
    change(database, lambda work: work.events.repaired(Repair.EXPIRED_LEASES, {KEY: 2}))
    found = sorted((event.stage, event.subject, event.times, event.details) for event in events(database)[1:])
    assert found == [
        (0, "silent_tasks", 1, {"messages": 1}),
        (1, "expired_leases", 1, {"messages": 2}),
        (1, "silent_tasks", 4, {"messages": 100}),
    ]
    silent = max(told(database, JobEventKind.REPAIRED), key=lambda event: event.times)
    assert silent.last_at >= silent.at


def test_repairs_of_another_opening_and_another_job_have_events_of_their_own(database: Database) -> None:
    start_stage(database)
    start_stage(database, job_id=OTHER_JOB)
    other = StageKey(OTHER_JOB, 1)
    change(database, lambda work: work.events.repaired(Repair.STOPPED_STAGE, {KEY: 1, other: 1}))
    change(database, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))
    change(database, lambda work: work.stages.reopen(KEY, failed_too=False))
    change(database, lambda work: work.events.repaired(Repair.STOPPED_STAGE, {KEY: 1, other: 1}))
    assert [(event.opening, event.times) for event in told(database, JobEventKind.REPAIRED)] == [(0, 1), (1, 1)]
    assert [event.times for event in events(database, OTHER_JOB) if event.subject] == [2]


def test_a_repair_of_a_job_that_is_gone_tells_nothing(database: Database) -> None:
    change(database, lambda work: work.events.repaired(Repair.STOPPED_STAGE, {KEY: 1}))
    change(database, lambda work: work.events.repaired(Repair.STOPPED_STAGE, {}))
    assert events(database) == []


def repairs(database: Database) -> dict[str | None, Any]:
    found = {event.subject: (event.stage, event.times, event.details) for event in events(database) if event.subject}
    return {subject: (stage, times, details["messages"]) for subject, (stage, times, details) in found.items()}


def test_a_sweep_tells_which_tasks_it_found(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    queue_batch(database, 5)
    run_dispatch(database, 5, 1)
    claim(database, ids(0, 1, 2))
    record(database, retrying(ids(2)[0], 1))
    harness.pass_time(10 * LEASE_SECONDS)
    with database.transaction() as work:
        assert len(work.sweeps.expired_leases(LEASE_SECONDS, 100)) == 2
        assert len(work.sweeps.overdue_retries(LEASE_SECONDS, 100)) == 1
    assert repairs(database) == {"expired_leases": (1, 1, 2), "overdue_retries": (1, 1, 1)}


def test_a_sweep_tells_of_a_silent_stage(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    queue_batch(database, 5)
    run_dispatch(database, 5, 1)
    harness.pass_time(10 * LEASE_SECONDS)
    with database.transaction() as work:
        assert work.sweeps.silent_stages(LEASE_SECONDS, 100) == [KEY]
    with database.transaction() as work:
        assert work.sweeps.silent_batches(KEY, LEASE_SECONDS, 100).batches == 1
        assert work.sweeps.silent_batches(KEY, LEASE_SECONDS, 100).batches == 0
    assert repairs(database) == {"silent_tasks": (1, 1, 5)}


def test_a_sweep_tells_of_jobs_and_stages_without_a_message(harness: Harness) -> None:
    database = harness.database
    create_job(database)
    harness.pass_time(100)
    with database.transaction() as work:
        assert work.sweeps.unstarted_jobs(JobStatus.PENDING_QUEUE, 10, 100) == [JOB]
        work.jobs.mark_queued(JOB)
        work.jobs.start(JOB)
    start_stage(database)
    harness.pass_time(100)
    with database.transaction() as work:
        assert len(work.sweeps.interrupted_dispatches(10, 100)) == 1
    run_dispatch(database, 0, 0)
    change(database, lambda work: work.stages.finish_if_complete(KEY))
    harness.pass_time(100)
    with database.transaction() as work:
        assert len(work.sweeps.unadvanced_stages(10, 100)) == 1
    assert repairs(database) == {
        "first_message": (0, 1, 1),
        "interrupted_dispatch": (1, 1, 1),
        "unadvanced_stage": (1, 1, 1),
    }


def test_a_sweep_tells_of_a_stopped_stage(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    start_stage(database)
    create_batch(database, batch_of(2), BatchStatus.PENDING_QUEUE)
    change(database, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))
    harness.pass_time(100)
    with database.transaction() as work:
        assert len(work.sweeps.stopped_stages(10, 100)) == 1
    assert repairs(database) == {"stopped_stage": (1, 1, 1)}


def letter(number: int, reason: str = "MaxDeliveryCountExceeded") -> DeadLetter:
    return DeadLetter("sb-tasks", reason, "why", b"%d" % number, f"m{number}", 1)


def keep(database: Database, dead: DeadLetter, about: StageKey | None = KEY) -> bool:
    with database.transaction() as work:
        return work.dead_letters.add(dead, about)


def test_a_dead_letter_is_told_to_its_job_once(database: Database) -> None:
    start_stage(database)
    assert keep(database, letter(1))
    assert not keep(database, letter(1))
    (kept,) = told(database, JobEventKind.DEAD_LETTER)
    assert (kept.stage, kept.opening, kept.subject, kept.times) == (1, 0, "MaxDeliveryCountExceeded", 1)
    with database.transaction() as work:
        ids_kept = [each.dead_letter_id for each in work.dead_letters.newest(10)]
    assert kept.details == {"queue": "sb-tasks", "dead_letter_ids": ids_kept}


def test_dead_letters_with_one_reason_share_an_event_with_the_first_ids(database: Database) -> None:
    create_job(database)
    for number in range(MAX_LETTER_IDS + 5):
        assert keep(database, letter(number))
    assert keep(database, letter(100, "orphan"))
    with database.transaction() as work:
        all_ids = sorted(each.dead_letter_id for each in work.dead_letters.newest(100))
    found = list(told(database, JobEventKind.DEAD_LETTER))
    assert [(event.subject, event.times) for event in found] == [
        ("MaxDeliveryCountExceeded", MAX_LETTER_IDS + 5),
        ("orphan", 1),
    ]
    assert found[0].details["dead_letter_ids"] == all_ids[:MAX_LETTER_IDS]


def test_a_long_reason_of_a_dead_letter_is_cut(database: Database) -> None:
    create_job(database)
    assert keep(database, letter(1, "\N{EURO SIGN}" * 5_000))
    (kept,) = told(database, JobEventKind.DEAD_LETTER)
    assert kept.subject == "\N{EURO SIGN}" * MAX_SUBJECT_LENGTH


def test_a_dead_letter_without_a_job_is_kept_and_told_to_nobody(database: Database) -> None:
    assert keep(database, letter(1))
    assert keep(database, letter(2), None)
    assert events(database) == []


def overlap(harness: Harness, first: Callable[[UnitOfWork], object], second: Callable[[UnitOfWork], object]) -> None:
    """Runs two transactions; the second begins after the statements of the first, and waits for its commit."""
    with ThreadPoolExecutor(1) as other:
        with harness.database.transaction() as work:
            first(work)
            waits = other.submit(change, harness.database, second)
            await_waiting(harness, waits)
        waits.result(WAIT_SECONDS)


def test_a_stop_that_waits_for_the_last_batch_finds_none_open(harness: Harness) -> None:
    database = harness.database
    batch = queue_batch(database, 2)

    def end(work: UnitOfWork) -> None:
        work.batches.apply_outcomes([BatchDelta(batch.batch_id, completed=2)])
        work.stages.add_finished_batches([batch.batch_id])

    overlap(harness, end, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))
    assert story(database)[2:] == [
        ("stage_cancelled", 1, 0, {"completed": 2, "failed": 0, "cancelled": 0, "open_batches": 0})
    ]


def test_of_two_workers_that_end_the_last_batches_of_a_stopped_stage_one_tells_it(harness: Harness) -> None:
    database = harness.database
    start_stage(database)
    for index in range(2):
        create_batch(database, batch_of(2, index))
    change(database, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))

    def end(index: int) -> Callable[[UnitOfWork], object]:
        batch_id = batch_of(2, index).batch_id

        def end(work: UnitOfWork) -> None:
            work.batches.apply_outcomes([BatchDelta(batch_id, completed=2)])
            work.stages.add_finished_batches([batch_id])

        return end

    overlap(harness, end(0), end(1))
    assert story(database)[3:] == [("tasks_ended", 1, 0, {"completed": 4, "failed": 0, "cancelled": 0})]


def test_an_end_that_waits_for_a_reopening_names_the_new_opening(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    start_stage(database)
    change(database, lambda work: work.stages.stop(KEY, StageStatus.CANCELLED))
    change(database, lambda work: work.jobs.finish(JOB, JobStatus.CANCELLED, None, None))

    def reopen(work: UnitOfWork) -> None:
        work.jobs.reopen(JOB, {JobStatus.CANCELLED})
        work.stages.reopen(KEY, failed_too=False)

    overlap(harness, reopen, lambda work: work.jobs.finish(JOB, JobStatus.CANCELLED, None, None))
    assert [row[:3] for row in story(database)[4:]] == [("resumed", 1, 1), ("cancelled", 1, 1)]


def test_two_sweepers_share_one_event(harness: Harness) -> None:
    database = harness.database
    start_stage(database)

    def repaired(work: UnitOfWork) -> None:
        work.events.repaired(Repair.STOPPED_STAGE, {KEY: 1})

    overlap(harness, repaired, repaired)
    assert repairs(database) == {"stopped_stage": (1, 2, 2)}


def test_pages_follow_the_ids(database: Database) -> None:
    queue_batch(database, 3)
    run_dispatch(database, 3, 1)
    start_stage(database, job_id=OTHER_JOB)
    first = events(database, limit=2)
    second = events(database, after_id=first[-1].event_id, limit=2)
    assert [event.kind.value for event in first + second] == ["submitted", "stage_started", "stage_dispatched"]
    assert events(database, after_id=second[-1].event_id) == []


def test_a_page_of_large_events_ends_at_the_limit_of_bytes(database: Database) -> None:
    create_job(database)
    for size in (90, 90, 300, 90):
        error = json.dumps(
            {"type": "E", "message": "x" * (size - 40)}
        )  # with its name and spaces, `size` bytes at most
        with database.transaction() as work:
            work.jobs.finish(JOB, JobStatus.FAILED, None, error)
        with database.transaction() as work:
            work.jobs.reopen(JOB, {JobStatus.FAILED})
    first = events(database)[0].event_id  # of the submission
    pages: list[Page[JobEvent]] = []
    with database.transaction() as work:
        while not pages or pages[-1].has_more:
            last = pages[-1][-1].event_id if pages else first
            pages.append(work.events.page(JOB, last, 3, max_bytes=200))
    failed, retried = JobEventKind.FAILED, JobEventKind.RETRIED
    kinds = [[event.kind for event in page] for page in pages]
    assert kinds == [[failed, retried, failed], [retried], [failed], [retried, failed, retried]]


def repair(database: Database, what: Repair) -> None:
    with database.transaction() as work:
        work.events.repaired(what, {KEY: 1})


def poll(database: Database, since: int) -> list[str | None]:
    """The subjects of the events since then."""
    with database.transaction() as work:
        return [event.subject for event in work.events.page(JOB, 0, 100, since)]


def now(database: Database) -> int:
    """From when on the next poll asks."""
    with database.transaction() as work:
        return work.events.since()


def test_a_poll_finds_the_event_of_a_transaction_that_commits_later_than_one_with_a_higher_id(
    database: Database,
) -> None:
    start_stage(database)
    with database.transaction() as late:
        late.events.repaired(Repair.PENDING_BATCHES, {KEY: 1})
        repair(database, Repair.SILENT_TASKS)
        since, seen = now(database), events(database)
    assert [event.subject for event in seen][-1] == Repair.SILENT_TASKS
    assert Repair.PENDING_BATCHES in poll(database, since)
    assert [event.event_id for event in events(database)][-1] == seen[-1].event_id


def test_a_poll_shows_what_is_new_and_what_has_changed_and_nothing_else(database: Database) -> None:
    start_stage(database)
    for what in (Repair.PENDING_BATCHES, Repair.SILENT_TASKS):
        repair(database, what)
    # A transaction of another test that has not ended repeats events.
    wait_until(lambda: poll(database, now(database)) == [])
    since = now(database)
    for what in (Repair.PENDING_BATCHES, Repair.EXPIRED_LEASES):
        repair(database, what)
    assert poll(database, since) == [Repair.PENDING_BATCHES, Repair.EXPIRED_LEASES]


@pytest.mark.parametrize("ahead", [10**6, 2**32, 10**17])
def test_a_poll_since_a_time_that_the_database_does_not_know_shows_all(database: Database, ahead: int) -> None:
    """After a restore from a backup, its transactions are counted anew."""
    start_stage(database)
    assert len(poll(database, now(database) + ahead)) == len(events(database)) == 2


def test_the_events_of_a_job_are_deleted_with_it(harness: Harness) -> None:
    database = harness.database
    create_job(database)
    create_job(database, OTHER_JOB)
    change(database, lambda work: work.jobs.finish(JOB, JobStatus.CANCELLED, None, None))
    harness.pass_time(40 * DAY_SECONDS)
    with database.transaction() as work:
        assert work.pruning.begin(30, 10) == [JOB]
        assert work.pruning.delete_job(JOB)
    assert events(database) == []
    assert len(events(database, OTHER_JOB)) == 1


def test_the_time_of_each_opening_of_a_stage_is_known(harness: Harness) -> None:
    database = harness.database
    start_job(database)
    start_stage(database)
    for status in (JobStatus.FAILED, JobStatus.CANCELLED):
        with database.transaction() as work:
            work.stages.stop(KEY, StageStatus.CANCELLED)
            work.jobs.finish(JOB, status, None, ERROR)
        with database.transaction() as work:
            assert work.jobs.reopen(JOB, {status})
            assert work.stages.reopen(KEY, failed_too=True)
    times = [event.at for event in events(database) if event.kind in {JobEventKind.RETRIED, JobEventKind.RESUMED}]
    assert len(times) == 2
    with database.transaction() as work:
        assert [work.events.reopened_at(StageOpening(KEY, opening)) for opening in range(4)] == [None, *times, None]
        assert work.events.reopened_at(StageOpening(StageKey(OTHER_JOB, 1), 1)) is None
