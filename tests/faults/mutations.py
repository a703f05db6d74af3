"""The guards of the queries and the sweeps, each with the tests that miss it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

CONTRACT = "tests/contract/repositories"
_TASKS = "repositories/sql/tasks.sql"
_BATCHES = "repositories/sql/batches.sql"
_STAGES = "repositories/sql/stages.sql"
_JOBS = "repositories/sql/jobs.sql"
_SWEEPS = "repositories/sql/sweeps.sql"
_FAKE_TASKS = "tests/fakes/tasks.py"
_FAKE_BATCHES = "tests/fakes/batches.py"
_FAKE_STAGES = "tests/fakes/stages.py"
_FAKE_JOBS = "tests/fakes/jobs.py"
_FAKE_SWEEPS = "tests/fakes/sweeps.py"
_SWEEPER = "engine/sweeper.py"


def _both(test: str) -> list[str]:
    """A test of the contract suite, for the fake and for PostgreSQL."""
    return [f"{CONTRACT}/{test}[{backend}]" for backend in ("fake", "postgres")]


def _sweep(line: str, test: str) -> tuple[Sequence[Edit], list[str]]:
    return [Edit(_SWEEPER, line)], [f"tests/unit/test_sweeper.py::{test}"]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the lease check in record": (
        [
            Edit(_TASKS, " AND tasks.lease_id = %(lease_id)s\nRETURNING tasks.task_id", "\nRETURNING tasks.task_id"),
            Edit(
                _FAKE_TASKS,
                "self._lock_held(list(by_id), lease_id)",
                "self._lock(by_id, lambda each: each.status == TaskStatus.PROCESSING)",
            ),
        ],
        _both("test_records.py::test_a_zombie_changes_nothing"),
    ),
    "the status guard in claim": (
        [
            Edit(
                _TASKS,
                "    AND (\n        status IN ('pending_queue', 'queued')\n"
                "        OR (status = 'retrying' AND not_before <= now())\n"
                "        OR (status = 'processing' AND lease_expires_at <= now())\n    )\n",
            ),
            Edit(_FAKE_TASKS, "self._lock(task_ids, self._may_run)", "self._lock(task_ids, lambda _: True)"),
        ],
        _both("test_claims.py::test_tasks_that_have_ended_are_never_claimed_again"),
    ),
    "the end of a lease in claim": (
        [
            Edit(_TASKS, "(status = 'processing' AND lease_expires_at <= now())", "status = 'processing'"),
            Edit(
                _FAKE_TASKS,
                "        due_at = self._due_at(row)\n",
                "        due_at = self._now if row.status == TaskStatus.PROCESSING else self._due_at(row)\n",
            ),
        ],
        _both("test_claims.py::test_a_live_lease_is_respected_even_its_own"),
    ),
    "the order in which a record locks batches": (
        [
            Edit(_BATCHES, " ORDER BY batch_id FOR NO KEY UPDATE", " ORDER BY batch_id DESC FOR NO KEY UPDATE"),
            Edit(_FAKE_BATCHES, "sorted(deltas, key=lambda delta: delta.batch_id)", "deltas"),
        ],
        _both("test_transactions.py::test_outcomes_wait_for_an_earlier_batch_before_they_hold_a_later_one"),
    ),
    "the statement in which a record locks batches": (
        [
            Edit(
                "repositories/batches.py",
                '        self._rows.execute(_QUERIES["lock"], {"batch_ids": batch_ids})\n'
                '        self._rows.execute(_QUERIES["arrived"], {"batch_ids": batch_ids})\n',
            )
        ],
        [
            f"{CONTRACT}/test_transactions.py::"
            "test_outcomes_wait_for_an_earlier_batch_before_they_hold_a_later_one[postgres]"
        ],
    ),
    "the compare-and-set on the job's stage": (
        [
            Edit(_JOBS, " AND status = 'processing' AND stage = %(from_stage)s", " AND status = 'processing'"),
            Edit(_FAKE_JOBS, "if row is None or row.stage != from_stage:", "if row is None:"),
            Edit(_FAKE_JOBS, "stage=from_stage + 1", "stage=row.stage + 1"),
        ],
        _both("test_jobs.py::test_a_stage_is_left_once"),
    ),
    "the status of a stage that finishes": (
        [
            Edit(_STAGES, " AND status = 'running' AND finished_batches = total", " AND finished_batches = total"),
            Edit(
                _FAKE_STAGES,
                "if row is None or row.status != StageStatus.RUNNING or row.finished_batches",
                "if row is None or row.finished_batches",
            ),
        ],
        _both("test_stage_ends.py::test_a_stage_ends_with_its_last_batch_and_once"),
    ),
    "the query of pending batches": (
        [
            Edit(_SWEEPS, "WHERE b.status = 'pending_queue' AND b.created_at", "WHERE false AND b.created_at"),
            Edit(_FAKE_SWEEPS, "if row.status == BatchStatus.PENDING_QUEUE\n", "if False\n"),
        ],
        _both("test_sweeps.py::test_a_pending_batch_is_found_unless_a_dispatcher_is_at_work"),
    ),
    "the sweep of pending batches": _sweep(
        '            "batches": lambda: self._batches(ends_at),\n',
        "test_batches_that_the_broker_did_not_take_are_sent_without_their_dispatcher",
    ),
    "the sweep of expired leases": _sweep(
        '            "leases": lambda: self._lost_tasks(ends_at, _expired_leases(self._silence)),\n',
        "test_a_task_whose_worker_and_message_are_gone_is_sent_again",
    ),
    "the sweep of overdue retries": _sweep(
        '            "retries": lambda: self._lost_tasks(ends_at, _overdue_retries(self._silence)),\n',
        "test_a_retry_whose_message_was_lost_is_sent_again",
    ),
    "the sweep of silent stages": _sweep(
        '            "silent_tasks": lambda: self._silent_tasks(ends_at),\n',
        "test_a_broker_that_lost_every_message_of_a_stage_is_filled_again[1]",
    ),
    "the sweep of stages that did not advance": _sweep(
        '            "advances": lambda: self._all(ends_at, self._advances),\n',
        "test_a_stage_that_ended_without_advancing_advances",
    ),
    "the sweep of interrupted dispatches": _sweep(
        '            "dispatches": lambda: self._all(ends_at, self._dispatches),\n',
        "test_a_dispatch_whose_message_was_lost_goes_on",
    ),
}
