"""Lockstep's promises about rows (docs/architecture.md, docs/state_machines.md), for every state and every step."""

from collections.abc import Callable, Mapping

from tests.faults.model.checker import Action
from tests.faults.model.rows import BATCH_ENDED, ENDED, STAGE_LIVE, STRANGER, Rows


def _batches_count_their_tasks(rows: Rows) -> bool:
    return all(
        (batch.open_tasks, batch.failed_tasks, batch.cancelled_tasks)
        == (
            sum(rows.tasks[index].status not in ENDED for index in batch.tasks),
            sum(rows.tasks[index].status == "failed" for index in batch.tasks),
            sum(rows.tasks[index].status == "cancelled" for index in batch.tasks),
        )
        for batch in rows.batches
    )


def _a_batch_ends_with_its_last_task(rows: Rows) -> bool:
    return all((batch.status in BATCH_ENDED) == (batch.open_tasks == 0) for batch in rows.batches)


def _the_stage_counts_its_finished_batches(rows: Rows) -> bool:
    finished = [batch for batch in rows.batches if batch.status in BATCH_ENDED]
    statuses = [rows.tasks[index].status for batch in finished for index in batch.tasks]
    stage = rows.stage
    return (stage.finished_batches, stage.completed_tasks, stage.failed_tasks, stage.cancelled_tasks) == (
        len(finished),
        statuses.count("completed"),
        statuses.count("failed"),
        statuses.count("cancelled"),
    )


def _a_finished_stage_has_no_open_task(rows: Rows) -> bool:
    return rows.stage.status != "finished" or all(task.status in ENDED for task in rows.tasks)


def _a_complete_stage_has_ended(rows: Rows) -> bool:
    stage = rows.stage
    return stage.status != "running" or stage.finished_batches < stage.total_batches


def _no_stage_is_skipped(rows: Rows) -> bool:
    """The second stage never ends here, so the job stays at it."""
    return rows.job.stage == 1 or (rows.job.stage == 2 and rows.stage.status == "finished")


INVARIANTS: Mapping[str, Callable[[Rows], bool]] = {
    "batches count their tasks": _batches_count_their_tasks,
    "a batch ends with its last task": _a_batch_ends_with_its_last_task,
    "the stage counts its finished batches": _the_stage_counts_its_finished_batches,
    "a finished stage has no open task": _a_finished_stage_has_no_open_task,
    "a complete stage has ended": _a_complete_stage_has_ended,
    "no stage is skipped": _no_stage_is_skipped,
}


def _an_ended_task_stays_as_it_is(before: Rows, action: Action, after: Rows) -> bool:
    return all(old == new for old, new in zip(before.tasks, after.tasks, strict=True) if old.status in ENDED)


def _an_ended_stage_stays_as_it_is(before: Rows, action: Action, after: Rows) -> bool:
    return before.stage.status in STAGE_LIVE or after.stage.status == before.stage.status


def _only_its_holder_touches_a_live_lease(before: Rows, action: Action, after: Rows) -> bool:
    """The first of `action.who` is the actor; the lease of a dead holder passes to `STRANGER`."""
    return all(
        new._replace(holder=old.holder) == old and new.holder in (old.holder, STRANGER)
        for old, new in zip(before.tasks, after.tasks, strict=True)
        if old.status == "processing"
        and not old.is_over
        and action.who[:1] != (old.holder,)
        and action.name != "expire"
    )


def _only_its_holder_ends_an_attempt(before: Rows, action: Action, after: Rows) -> bool:
    return all(
        action.name in ("record", "release") and action.who[:1] == (old.holder,)
        for old, new in zip(before.tasks, after.tasks, strict=True)
        if old.status == "processing" != new.status and action.name not in ("sweep_lease", "cancel_some")
    )


def _only_its_holder_extends_a_lease(before: Rows, action: Action, after: Rows) -> bool:
    return all(
        action.name == "renew" and action.who[:1] == (old.holder,)
        for old, new in zip(before.tasks, after.tasks, strict=True)
        if old.status == "processing" == new.status and old.holder == new.holder and old.is_over and not new.is_over
    )


def _a_retry_waits_until_it_is_due(before: Rows, action: Action, after: Rows) -> bool:
    return all(
        new.status in ("retrying", "cancelled")
        for old, new in zip(before.tasks, after.tasks, strict=True)
        if old.status == "retrying" and not old.is_over
    )


def _nothing_begins_in_a_stage_that_has_ended(before: Rows, action: Action, after: Rows) -> bool:
    return before.stage.status in STAGE_LIVE or all(
        old.holder == new.holder or new.holder < 0 for old, new in zip(before.tasks, after.tasks, strict=True)
    )


def _nothing_is_added_to_a_stage_that_has_ended(before: Rows, action: Action, after: Rows) -> bool:
    return before.stage.status in STAGE_LIVE or all(
        (old.status == "absent") == (new.status == "absent")
        for old, new in zip(before.batches, after.batches, strict=True)
    )


def _a_job_does_not_fail_at_a_stage_that_it_has_left(before: Rows, action: Action, after: Rows) -> bool:
    return before.job.stage == 1 or after.job.status != "failed"


RULES: Mapping[str, Callable[[Rows, Action, Rows], bool]] = {
    "an ended task stays as it is": _an_ended_task_stays_as_it_is,
    "an ended stage stays as it is": _an_ended_stage_stays_as_it_is,
    "only its holder touches a live lease": _only_its_holder_touches_a_live_lease,
    "only its holder ends an attempt": _only_its_holder_ends_an_attempt,
    "only its holder extends a lease": _only_its_holder_extends_a_lease,
    "a retry waits until it is due": _a_retry_waits_until_it_is_due,
    "nothing begins in a stage that has ended": _nothing_begins_in_a_stage_that_has_ended,
    "nothing is added to a stage that has ended": _nothing_is_added_to_a_stage_that_has_ended,
    "a job does not fail at a stage that it has left": _a_job_does_not_fail_at_a_stage_that_it_has_left,
}


def is_stopped_for_good(rows: Rows) -> bool:
    """The job has failed or was cancelled, and all its tasks have ended."""
    return rows.job.status != "processing" and all(batch.status in (*BATCH_ENDED, "absent") for batch in rows.batches)
