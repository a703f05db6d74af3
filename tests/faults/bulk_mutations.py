"""The guards of bulk actions, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SQL = "repositories/sql/bulk_actions.sql"
_FAKE = "tests/fakes/bulk_actions.py"
_ENGINE = "engine/jobs/bulk_actions.py"
_UNIT = "tests/unit/engine/jobs/test_bulk_actions.py"
_COUNTED = "test_a_job_is_changed_and_counted_in_one_transaction"
_LATE = "test_a_host_that_has_lost_its_lease_changes_no_job"


def _both(test: str, case: str = "") -> list[str]:
    """A test of the contract suite, for the fake and for PostgreSQL."""
    file = "tests/contract/repositories/test_bulk_actions.py"
    return [f"{file}::{test}[{backend}{case}]" for backend in ("fake", "postgres")]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the lease with which a bulk action is taken": (
        [
            Edit(_SQL, "finished_at IS NULL AND (lease_expires_at IS NULL OR lease_expires_at <= now())", "true"),
            Edit(_FAKE, "row.action.finished_at is None and (expires_at is None or expires_at <= self._now)", "True"),
        ],
        _both("test_one_host_at_a_time_carries_an_action_out"),
    ),
    "the lease of a bulk action's results": (
        [
            Edit(
                _SQL,
                "AND lease_id = %(lease_id)s AND finished_at IS NULL\n\n-- name: finish",
                "AND finished_at IS NULL\n\n-- name: finish",
            ),
            Edit(_FAKE, "row.lease_id == lease_id and ", ""),
        ],
        _both("test_one_host_at_a_time_carries_an_action_out"),
    ),
    "a cancelled job counts in its transaction": (
        [Edit("engine/jobs/canceller.py", "            also(work)\n")],
        [f"{_UNIT}::{_COUNTED}[cancel]", f"{_UNIT}::{_LATE}[cancel]"],
    ),
    "a retried job counts in its transaction": (
        [Edit("engine/jobs/reopener.py", "            also(work)\n")],
        [f"{_UNIT}::{_COUNTED}[retry]", f"{_UNIT}::{_LATE}[retry]"],
    ),
    "a deleted job counts in its transaction": (
        [Edit(_ENGINE, "                turn.count(work)\n", "                pass\n")],
        [f"{_UNIT}::{_COUNTED}[delete]"],
    ),
    "the lease of a bulk action that changes a job": (
        [Edit("engine/jobs/bulk_turns.py", "            raise SliceEnded(", "            SliceEnded(")],
        [f"{_UNIT}::{_LATE}[cancel]", f"{_UNIT}::{_LATE}[retry]"],
    ),
    "a bulk action counts a job that was changed once": (
        [Edit(_ENGINE, "        if turn.is_counted:", "        if False:")],
        [f"{_UNIT}::test_a_job_that_was_changed_counts_although_what_follows_fails"],
    ),
    "a bulk action ends with the time of its slice": (
        [Edit(_ENGINE, "isinstance(exc, (SliceEnded, ", "isinstance(exc, (")],
        [f"{_UNIT}::test_the_deletion_of_a_large_job_goes_on_in_another_slice"],
    ),
    "a bulk action waits out an outage": (
        [Edit(_ENGINE, "exc.waited_out or ")],
        [f"{_UNIT}::test_an_outage_ends_a_slice_and_fails_no_job"],
    ),
    "a bulk action looks at each job again": (
        [Edit("engine/jobs/job_check.py", "    if not is_meant(job):", "    if False:")],
        [
            f"{_UNIT}::test_a_job_that_no_longer_fits_the_filter_at_its_turn_is_left_alone[{kind}]"
            for kind in ("cancel", "delete")
        ],
    ),
    "held rows of a deleted job are tried again": (
        [Edit(_ENGINE, "        if not was_marked:", "        if False:")],
        [
            f"{_UNIT}::test_rows_that_another_transaction_holds_are_tried_again_in_the_next_slice[{each}]"
            for each in ("released", "held")
        ],
    ),
    "a bulk action retries a job once": (
        [Edit("core/bulk_actions.py", " and not is_new")],
        [f"{_UNIT}::test_a_job_that_fails_again_is_not_retried_twice_by_one_action"],
    ),
    "the hook that a deleted job is owed": (
        [
            Edit(_SQL, "h.job_id = j.job_id AND h.ended_at = j.finished_at", "false"),
            Edit(_FAKE, "is_live or is_owed or", "is_live or"),
        ],
        _both("test_a_job_whose_hook_has_not_run_is_not_marked", "-False"),
    ),
    "the tasks of a deleted job": (
        [
            Edit(_SQL, "b.job_id = j.job_id AND b.status IN ('pending_queue', 'queued')", "false"),
            Edit(_FAKE, "is_live or is_owed or", "is_owed or"),
        ],
        _both("test_a_job_with_tasks_that_have_not_ended_is_not_marked"),
    ),
    "the filter of a bulk action": (
        [Edit(_ENGINE, "if where == JobFilter():", "if False:")],
        [f"{_UNIT}::test_a_filter_that_cannot_be_meant_is_refused[none]"],
    ),
}
