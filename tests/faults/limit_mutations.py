"""The guards of limits of task types, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SLOTS = "engine/tasks/slots.py"
_SQL = "repositories/sql/slots.sql"
_SWEEPS = "repositories/sql/sweeps.sql"
_FAKE = "tests/fakes/slots.py"
_FAKE_SWEEPS = "tests/fakes/sweeps.py"
_TESTS = "tests/unit/engine/tasks/test_limits.py"
_CONTRACT = "tests/contract/repositories/test_slots.py"
_PARKED = "NOT EXISTS (SELECT FROM limit_waits AS w WHERE w.task_id = tasks.task_id)"


def _both(test: str) -> list[str]:
    return [f"{_CONTRACT}::{test}[{backend}]" for backend in ("fake", "postgres")]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the lock of a task type": (
        [
            Edit(
                _SQL,
                "SELECT pg_advisory_xact_lock(hashtextextended('lockstep.task_type.' || %(task_type)s, 0))",
                "SELECT 1",
            ),
            Edit(_FAKE, "        self._tables.task_type_locks.lock(task_type)\n", "        pass\n"),
        ],
        _both("test_the_type_of_a_task_is_locked_by_one_transaction_at_a_time"),
    ),
    "the end of a lease that holds a slot": (
        [
            Edit(
                _SQL, " AND t.lease_id = s.lease_id AND t.lease_expires_at > now()\n", " AND t.lease_id = s.lease_id\n"
            ),
            Edit(_FAKE, "            and task.lease_expires_at > self._now\n"),
        ],
        [
            *_both("test_a_slot_is_held_as_long_as_the_lease_that_it_was_started_with"),
            *_both("test_a_lease_that_is_renewed_after_its_slot_was_found_free_has_none"),
        ],
    ),
    "the lease that holds a slot": (
        [
            Edit(_SQL, " AND t.status = 'processing' AND t.lease_id = s.lease_id", " AND t.status = 'processing'"),
            Edit(_FAKE, "            and task.lease_id == start.lease_id\n"),
        ],
        _both("test_a_task_that_starts_again_holds_one_slot"),
    ),
    "the slot that a lease has lost": (
        [
            Edit(
                _SQL,
                "UPDATE task_starts AS s SET holds_slot = false\nWHERE s.task_type = %(task_type)s AND s.holds_slot\n",
                "UPDATE task_starts AS s SET holds_slot = s.holds_slot\n"
                "WHERE s.task_type = %(task_type)s AND s.holds_slot\n",
            ),
            Edit(_FAKE, "replace(row, holds_slot=False)", "row"),
        ],
        [
            *_both("test_a_slot_is_held_as_long_as_the_lease_that_it_was_started_with"),
            *_both("test_a_lease_that_is_renewed_after_its_slot_was_found_free_has_none"),
            *_both("test_starts_count_for_the_time_of_the_rate_and_are_deleted_afterwards"),
            *_both("test_starts_of_a_type_without_a_rate_are_deleted_when_their_lease_has_ended"),
        ],
    ),
    "the place of a task that was woken in vain": (
        [
            Edit(_SQL, "DO UPDATE SET woken_at = NULL,", "DO UPDATE SET since = now(), woken_at = NULL,"),
            Edit(_FAKE, "row if known is None else replace(row, since=known.since)", "row"),
        ],
        _both("test_parked_tasks_are_woken_in_the_order_in_which_they_were_parked"),
    ),
    "the message of a woken task that is overdue": (
        [
            Edit(
                _SQL,
                "        AND (woken_at IS NULL OR woken_at <= now() - make_interval(secs => %(age_seconds)s))\n",
                "        AND woken_at IS NULL\n",
            ),
            Edit(
                _FAKE,
                "wait.task_type != task_type or self._is_promised(wait, age_seconds):",
                "wait.task_type != task_type or wait.woken_at is not None:",
            ),
        ],
        _both("test_a_woken_task_whose_message_is_overdue_is_found_again"),
    ),
    "the parked tasks in the sweep of overdue retries": (
        [
            Edit(
                _SWEEPS,
                f"    AND {_PARKED}\nORDER BY not_before\n",
                "ORDER BY not_before\n",
            ),
            Edit(
                _FAKE_SWEEPS,
                "                and self._is_old(age_seconds, row.not_before)\n"
                "                and not self._is_parked(row)\n",
                "                and self._is_old(age_seconds, row.not_before)\n",
            ),
        ],
        _both("test_a_parked_task_is_lost_to_no_sweep"),
    ),
    "the parked tasks of a silent stage": (
        [
            Edit(_SWEEPS, f"    AND {_PARKED}\nFOR NO KEY UPDATE SKIP LOCKED", "FOR NO KEY UPDATE SKIP LOCKED"),
            Edit(_FAKE_SWEEPS, "row.status in _WAITING and not self._is_parked(row)", "row.status in _WAITING"),
        ],
        _both("test_the_messages_of_parked_tasks_of_a_silent_stage_are_not_sent_again"),
    ),
    "the slots that are promised to others": (
        [Edit("core/task_limits.py", "    reserved = max(use.promised - len(promised), 0)\n", "    reserved = 0\n")],
        ["tests/unit/core/test_task_limits.py::test_slots_that_are_promised_are_left_to_those_who_were_woken"],
    ),
    "the wake-up by the worker that frees a slot": (
        [Edit("engine/tasks/worker.py", "        self._slots.freed(claimed.tasks)\n")],
        [
            f"{_TESTS}::test_a_task_over_the_limit_is_parked_and_has_no_message_until_a_slot_is_free",
            f"{_TESTS}::test_a_task_that_waits_for_its_retry_holds_no_slot",
        ],
    ),
    "the sweep of parked tasks": (
        [
            Edit(
                "engine/repair/sweeper.py",
                '            "parked": lambda: self._slots.sweep(lambda: self._clock() < ends_at),\n',
            )
        ],
        [f"{_TESTS}::test_a_wake_up_that_was_lost_is_found_by_the_sweeper[{lost}]" for lost in ("unsent", "message")]
        + [f"{_TESTS}::test_the_slot_of_a_dead_worker_is_free_when_its_lease_has_ended"],
    ),
    "the start of a task that was claimed and did not run": (
        [Edit("engine/tasks/worker.py", "        self._slots.forget(work, task_ids, lease_id)\n")],
        [f"{_TESTS}::test_a_task_whose_run_was_interrupted_gets_its_slot_when_it_runs_alone[limits1]"],
    ),
    "the attempt of a task that waits for a slot": (
        [
            Edit(
                _SLOTS,
                "        tasks = claim(work, starting) if starting else []\n",
                "        tasks = [each for each in claim(work, task_ids) if each.task_id in starting]\n",
            )
        ],
        [
            f"{_TESTS}::test_a_task_over_the_limit_is_parked_and_has_no_message_until_a_slot_is_free",
            f"{_TESTS}::test_a_task_that_waits_for_its_retry_holds_no_slot",
        ],
    ),
    "the few tasks that are woken of a type that is not known": (
        [Edit(_SLOTS, " or self._registry.task_type(task_type) is None:", ":")],
        [f"{_TESTS}::test_a_host_that_does_not_know_a_type_wakes_few_of_its_tasks"],
    ),
    "the place of a task that is found stopped": (
        [Edit(_SLOTS, "            work.slots.unpark(gone)\n", "            pass\n")],
        [f"{_TESTS}::test_parked_tasks_of_a_cancelled_job_are_cancelled_and_let_others_run"],
    ),
}
