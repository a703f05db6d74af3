"""The guards of the queries and the sweeps, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

CONTRACT = "tests/contract/repositories"
_TASKS = "repositories/sql/tasks.sql"
_BATCHES = "repositories/sql/batches.sql"
_FUNCTIONS = "repositories/sql/migrations/0021.task_functions.sql"
_STAGES = "repositories/sql/stages.sql"
_JOBS = "repositories/sql/jobs.sql"
_SWEEPS = "repositories/sql/sweeps.sql"
_EVENTS = "repositories/sql/job_events.sql"
_FAKE_TASKS = "tests/fakes/tasks.py"
_WINDOW = "tests/unit/engine/stages/test_dispatch_window.py"
_CALLS = "tests/unit/engine/tasks/test_calls.py"
_FAKE_BATCHES = "tests/fakes/batches.py"
_FAKE_STAGES = "tests/fakes/stages.py"
_FAKE_JOBS = "tests/fakes/jobs.py"
_FAKE_SWEEPS = "tests/fakes/sweeps.py"
_FAKE_EVENTS = "tests/fakes/job_events.py"
_HOOKS = "repositories/sql/end_hooks.sql"
_FAKE_HOOKS = "tests/fakes/end_hooks.py"
_SWEEPER = "engine/repair/sweeper.py"


_OPENINGS = "tests/unit/engine/stages/test_earlier_openings.py"
_ISOLATION = "tests/unit/engine/tasks/test_isolation.py"
_ISOLATION_STATE = "tests/unit/engine/tasks/test_isolation_state.py"
_RUN_STATES = "tests/unit/engine/tasks/test_run_states.py"

_OF_RECORD = (
    "SET plan_cache_mode = force_generic_plan\nAS $$\n#variable_conflict use_column\nBEGIN\n    RETURN QUERY\n"
    "    UPDATE tasks AS t\n    SET\n        status = 'completed'"
)
"""The beginning of record_completed_v1, from its last setting on."""


def _both(test: str) -> list[str]:
    """A test of the contract suite, for the fake and for PostgreSQL."""
    return [f"{CONTRACT}/{test}[{backend}]" for backend in ("fake", "postgres")]


def _sweep(line: str, test: str) -> tuple[Sequence[Edit], list[str]]:
    return [Edit(_SWEEPER, line)], [f"tests/unit/engine/repair/test_sweeper.py::{test}"]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the lease check in record": (
        [
            Edit(_TASKS, " AND tasks.lease_id = %(lease_id)s\nRETURNING tasks.task_id", "\nRETURNING tasks.task_id"),
            Edit(_FUNCTIONS, " AND t.lease_id = p_lease_id\n", "\n"),
            Edit(
                _FAKE_TASKS,
                "self._lock_held(list(by_id), lease_id)",
                "self._tables.tasks.lock_those(by_id, lambda each: each.status == TaskStatus.PROCESSING)",
            ),
        ],
        [
            *_both("test_records.py::test_a_zombie_changes_nothing"),
            *_both("test_records.py::test_a_zombie_completes_nothing"),
        ],
    ),
    "the status guard in claim": (
        [
            Edit(
                _FUNCTIONS,
                "        AND (\n            t.status IN ('pending_queue', 'queued')\n"
                "            OR (t.status = 'retrying' AND t.not_before <= now())\n"
                "            OR (t.status = 'processing' AND t.lease_expires_at <= now())\n        )\n",
            ),
            Edit(_FAKE_TASKS, "lock_free(task_ids, self._may_run)", "lock_free(task_ids)"),
        ],
        _both("test_claims.py::test_tasks_that_have_ended_are_never_claimed_again"),
    ),
    "the end of a lease in claim": (
        [
            Edit(_FUNCTIONS, "(t.status = 'processing' AND t.lease_expires_at <= now())", "t.status = 'processing'"),
            Edit(
                _FAKE_TASKS,
                "        due_at = self._due_at(row)\n",
                "        due_at = self._now if row.status == TaskStatus.PROCESSING else self._due_at(row)\n",
            ),
        ],
        _both("test_claims.py::test_a_live_lease_is_respected_even_its_own"),
    ),
    "the status of the stage in claim": (
        [
            Edit(
                _FUNCTIONS,
                "                IN ('dispatching', 'running')\n",
                "                IS NOT NULL\n",
            ),
            Edit(_FAKE_TASKS, "        if not self._is_live(row):\n            return None\n"),
        ],
        _both("test_stops.py::test_a_task_of_a_stopped_stage_whose_lease_expired_is_not_taken_over"),
    ),
    "the lease check in a release": (
        [
            Edit(
                _TASKS,
                "    started_at = CASE WHEN attempt > 1 OR checkpoint IS NOT NULL THEN started_at END\n"
                "WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s",
                "    started_at = CASE WHEN attempt > 1 OR checkpoint IS NOT NULL THEN started_at END\n"
                "WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing'",
            ),
            Edit(
                _FAKE_TASKS,
                "self._lock_held(task_ids, lease_id)\n        for row in held:\n"
                "            self._tables.tasks.update(row.task_id, released_row",
                "self._tables.tasks.lock_those(task_ids, lambda each: each.status == TaskStatus.PROCESSING)\n"
                "        for row in held:\n            self._tables.tasks.update(row.task_id, released_row",
            ),
        ],
        _both("test_claims.py::test_a_released_task_has_spent_no_attempt_and_is_due_at_once"),
    ),
    "the lease check of a task's checkpoint": (
        [
            Edit(
                _TASKS,
                "WHERE task_id = %(task_id)s AND lease_id = %(lease_id)s\n\n-- name: write_progress",
                "WHERE task_id = %(task_id)s\n\n-- name: write_progress",
            ),
            Edit(
                _FAKE_TASKS,
                "held = self._lock_held([task_id], lease_id)\n        for row in held:\n            same",
                "held = self._tables.tasks.lock_those([task_id])\n        for row in held:\n            same",
            ),
        ],
        _both("test_task_runs.py::test_only_the_holder_of_the_lease_writes_a_checkpoint"),
    ),
    "the lease check of a task's progress": (
        [
            Edit(
                _TASKS,
                "WHERE task_id = %(task_id)s AND lease_id = %(lease_id)s\n\n-- name: release",
                "WHERE task_id = %(task_id)s\n\n-- name: release",
            ),
            Edit(
                _FAKE_TASKS,
                "held = self._lock_held([task_id], lease_id)\n        for row in held:\n            self",
                "held = self._tables.tasks.lock_those([task_id])\n        for row in held:\n            self",
            ),
        ],
        _both("test_task_runs.py::test_only_the_holder_of_the_lease_writes_progress"),
    ),
    "the lease check of a continuation": (
        [Edit(_TASKS, " AND tasks.lease_id = %(lease_id)s AND tasks.status", " AND tasks.status")],
        _both("test_task_runs.py::test_a_zombie_does_not_go_on_later")[1:],
    ),
    "the bound of idle continuations": (
        [Edit("engine/tasks/run_states.py", "        if idle > MAX_IDLE_CONTINUATIONS:", "        if idle > 100:")],
        [f"{_RUN_STATES}::test_a_task_that_goes_on_without_changing_its_checkpoint_fails"],
    ),
    "the error of a run that has lost its lease": (
        [Edit("engine/tasks/run_states.py", "        if not held:", "        if False:")],
        [
            f"{_RUN_STATES}::test_a_run_that_has_lost_its_lease_ends_at_its_next_write_and_its_outcome_does_not_count[{each}]"
            for each in ("checkpoint", "progress")
        ],
    ),
    "the state that a handler keeps when it is told of a shutdown": (
        [
            Edit(
                "engine/tasks/task_runner.py",
                "        if outcome.continuation is not None and not outcome.continuation.idle:\n"
                "            return outcome\n",
            )
        ],
        [f"{_RUN_STATES}::test_a_handler_that_is_told_of_a_shutdown_keeps_its_state"],
    ),
    "the lease check in a renewal": (
        [
            Edit(
                _TASKS,
                " AND status = 'processing' AND lease_id = %(lease_id)s\n    ORDER BY task_id",
                " AND status = 'processing'\n    ORDER BY task_id",
            ),
            Edit(
                _TASKS,
                " AND status = 'processing' AND lease_id = %(lease_id)s\n\n-- name: stopped",
                " AND status = 'processing'\n\n-- name: stopped",
            ),
            Edit(
                _FAKE_TASKS,
                "        is_held = _held_by(lease_id)\n",
                "        is_held = lambda each: each.status == TaskStatus.PROCESSING\n",
            ),
        ],
        _both("test_claims.py::test_a_lease_that_was_taken_over_is_not_renewed"),
    ),
    "the bound of dead letters": (
        [
            Edit("engine/repair/dead_letters.py", "if died and before >= MAX_RESENDS:", "if False:"),
        ],
        [
            "tests/unit/engine/repair/test_dead_letters.py::test_a_task_whose_messages_all_die_fails_with_the_brokers_reason"
        ],
    ),
    "the number of sends that the count of a dead letter expects": (
        [
            Edit(
                _TASKS,
                "sends = sends + 1\nWHERE task_id = %(task_id)s AND sends = %(sends)s AND",
                "sends = sends + 1\nWHERE task_id = %(task_id)s AND",
            ),
            Edit(
                _FAKE_TASKS,
                "if row is None or row.sends != sends or row.status in TASK_ENDS:\n            return False",
                "if row is None or row.status in TASK_ENDS:\n            return False",
            ),
        ],
        _both("test_claims.py::test_a_dead_letter_counts_once_for_each_send"),
    ),
    "the status of a task that is marked queued": (
        [
            Edit(
                _TASKS,
                "    WHERE batch_id = %(batch_id)s AND status = %(expected)s::task_status\n",
                "    WHERE batch_id = %(batch_id)s\n",
            ),
            Edit(_FAKE_TASKS, "lambda row: row.status == expected)", "lambda _: True)"),
        ],
        _both("test_batches.py::test_queueing_leaves_a_task_that_a_worker_took"),
    ),
    "the status of a batch that is marked queued": (
        [
            Edit(
                _BATCHES,
                "last_error = NULL\nWHERE batch_id = %(batch_id)s AND status = 'pending_queue'",
                "last_error = NULL\nWHERE batch_id = %(batch_id)s",
            ),
            Edit(
                _FAKE_BATCHES,
                "if row is None or row.status != BatchStatus.PENDING_QUEUE:",
                "if row is None:",
            ),
        ],
        _both("test_batches.py::test_a_batch_and_its_pending_tasks_are_queued_once"),
    ),
    "the status of a job that is marked queued": (
        [
            Edit(
                _JOBS,
                "queued_at = now()\nWHERE job_id = %(job_id)s AND status = 'pending_queue'",
                "queued_at = now()\nWHERE job_id = %(job_id)s",
            ),
            Edit(
                _FAKE_JOBS,
                "{JobStatus.PENDING_QUEUE}, status=JobStatus.QUEUED",
                "set(JobStatus), status=JobStatus.QUEUED",
            ),
        ],
        _both("test_jobs.py::test_a_job_is_queued_once"),
    ),
    "the holder of a dispatch lease": (
        [
            Edit(
                _STAGES,
                "    AND (dispatch_lease_id IS NULL OR dispatch_lease_expires_at <= now())\n\n",
                "\n",
            ),
            Edit(
                _FAKE_STAGES,
                " and (expires_at is None or expires_at <= self._now)",
            ),
        ],
        _both("test_dispatch_lease.py::test_one_dispatcher_at_a_time"),
    ),
    "the tasks that are claimed while their batch is marked": (
        [
            Edit(
                _TASKS,
                " SKIP LOCKED\n) AS free;\n\nUPDATE tasks SET status = %(status)s::task_status",
                "\n) AS free;\n\nUPDATE tasks SET status = %(status)s::task_status",
            ),
            Edit(_FAKE_TASKS, "lock_free(task_ids, lambda", "lock_those(task_ids, lambda"),
        ],
        _both("test_locked_rows.py::test_a_batch_is_marked_while_a_worker_claims_one_of_its_tasks"),
    ),
    "the status of a job that is started": (
        [
            Edit(
                _STAGES,
                "WHERE job_id = %(job_id)s AND status = 'queued'\n    RETURNING job_id\n), created",
                "WHERE job_id = %(job_id)s AND stage = 0\n    RETURNING job_id\n), created",
            ),
            Edit(
                "tests/fakes/jobs.py",
                "{JobStatus.QUEUED}, status=JobStatus.PROCESSING",
                "{*JobStatus}, status=JobStatus.PROCESSING",
            ),
        ],
        [
            f"{CONTRACT}/test_job_starts.py::test_a_job_in_another_status_is_not_started[{backend}-{status}]"
            for backend in ("fake", "postgres")
            for status in ("waiting", "cancelled", "failed")
        ],
    ),
    "the batches of an earlier dispatch": (
        [
            Edit(
                "engine/stages/stage_dispatcher.py",
                "self._dispatch(job, controller, message, lease, stage)",
                "self._dispatch(job, controller, message, lease, stage, is_new=True)",
            )
        ],
        [
            f"{_WINDOW}::test_a_replay_that_yields_other_tasks_fails_the_job_clearly[fewer_batches]",
        ],
    ),
    "the holder of a dispatch lease that is renewed": (
        [
            Edit(
                _STAGES,
                " AND dispatch_lease_id = %(lease_id)s\n\n-- name: dispatch_lease_expires_at",
                "\n\n-- name: dispatch_lease_expires_at",
            ),
            Edit(
                _FAKE_STAGES,
                " or row.dispatch_lease_id != lease_id:\n            return False\n"
                "        self._update(row, dispatch_lease_expires_at",
                ":\n            return False\n        self._update(row, dispatch_lease_expires_at",
            ),
        ],
        [
            *_both("test_dispatch_lease.py::test_a_lease_that_has_expired_is_renewed_unless_it_was_taken_over"),
            *_both("test_dispatch_lease.py::test_a_lease_that_was_taken_away_is_not_renewed"),
        ],
    ),
    "the opening of a job message": (
        [Edit("engine/stages/step.py", "if stage is not None and stage.openings != message.opening:", "if False:")],
        [f"{_OPENINGS}::test_the_cancellation_of_an_earlier_opening_cancels_nothing_of_a_later_one"],
    ),
    "the opening of a dead job message": (
        [
            Edit(
                "engine/repair/dead_letters.py",
                "elif stage is not None and stage.openings != message.opening:",
                "elif False:",
            )
        ],
        [f"{_OPENINGS}::test_the_dead_dispatch_of_an_earlier_opening_does_not_fail_the_job"],
    ),
    "the opening of a failure": (
        [Edit("engine/stages/job_endings.py", "if now is not None and now.opening != stage:", "if False:")],
        [f"{_OPENINGS}::test_a_failure_does_not_fail_a_stage_that_was_reopened_meanwhile"],
    ),
    "the opening of a stage that was aggregated": (
        [Edit("engine/stages/job_endings.py", "if now is None or now.openings != stage.openings:", "if now is None:")],
        [
            f"tests/unit/engine/stages/test_advancer.py::test_a_late_handler_does_not_{what}_meanwhile"
            for what in (
                "end_a_job_that_was_ended_and_retried",
                "go_on_to_the_next_stage_of_a_job_that_was_retried",
            )
        ],
    ),
    "the lease check of a checkpoint": (
        [
            Edit(
                _STAGES,
                " AND dispatch_lease_id = %(lease_id)s\n    AND coalesce(checkpoint_tasks, 0)",
                "\n    AND coalesce(checkpoint_tasks, 0)",
            ),
            Edit(_STAGES, " AND dispatch_lease_id = %(lease_id)s\n\n-- name: release", "\n\n-- name: release"),
            Edit(
                _FAKE_STAGES,
                " and row.dispatch_lease_id == lease_id\n        return row if held",
                "\n        return row if held",
            ),
        ],
        _both("test_checkpoints.py::test_only_the_holder_of_the_lease_records_a_checkpoint_and_idle_slices"),
    ),
    "the order of checkpoints": (
        [
            Edit(_STAGES, "\n    AND coalesce(checkpoint_tasks, 0) < %(tasks)s"),
            Edit(_FAKE_STAGES, "if row is None or row.checkpoint_tasks >= checkpoint.tasks:", "if row is None:"),
        ],
        _both("test_checkpoints.py::test_a_checkpoint_only_moves_on"),
    ),
    "the compare-and-set on folded tasks": (
        [
            Edit(_STAGES, "\n    AND coalesce(folded_tasks, 0) = %(tasks_before)s"),
            Edit(_FAKE_STAGES, "        if row.folded_tasks != tasks_before:\n            return False\n"),
        ],
        [
            *_both("test_checkpoints.py::test_of_two_hosts_that_fold_the_same_results_one_goes_on"),
            *_both("test_checkpoints.py::test_the_result_of_a_stage_ends_its_fold"),
        ],
    ),
    "the opening of a fold": (
        [
            Edit(_STAGES, " AND openings = %(openings)s"),
            Edit(_FAKE_STAGES, " or row.openings != stage.openings:", ":"),
        ],
        _both("test_checkpoints.py::test_a_stage_that_is_not_finished_or_was_reopened_is_not_folded"),
    ),
    "the lease check at the end of a dispatch": (
        [
            Edit(
                _STAGES,
                " AND dispatch_lease_id = %(lease_id)s\n    RETURNING job_id, stage, openings, total_tasks",
                "\n    RETURNING job_id, stage, openings, total_tasks",
            ),
            Edit(
                _FAKE_STAGES,
                " or row.dispatch_lease_id != lease_id:\n            return False\n"
                "        self._update(row, status=StageStatus.RUNNING",
                ":\n            return False\n        self._update(row, status=StageStatus.RUNNING",
            ),
        ],
        _both("test_dispatch_lease.py::test_only_the_holder_ends_the_dispatch"),
    ),
    "the dispatch lease of a new batch": (
        [
            Edit(_TASKS, "        AND s.dispatch_lease_id = %(dispatch_lease_id)s\n"),
            Edit(_FAKE_TASKS, " or stage.dispatch_lease_id != lease_id:", ":"),
        ],
        [
            *_both("test_dispatch_fence.py::test_a_dispatcher_that_was_taken_over_writes_no_batch"),
            *_both("test_dispatch_fence.py::test_a_batch_waits_for_a_takeover_and_is_not_written"),
        ],
    ),
    "the lock that a takeover waits for": (
        [
            Edit(_STAGES, "expires_at <= now())\nFOR UPDATE;", "expires_at <= now())\nFOR NO KEY UPDATE;"),
            Edit(_FAKE_STAGES, "stages.lock_for_update(key)", "stages.lock(key)"),
        ],
        [
            *_both("test_dispatch_fence.py::test_a_takeover_waits_for_a_batch_that_is_being_written"),
            *_both("test_dispatch_fence.py::test_a_batch_waits_for_a_takeover_and_is_not_written"),
        ],
    ),
    "the order in which a record locks batches": (
        [
            Edit(_FUNCTIONS, '        ORDER BY batch_id COLLATE "C"\n'),
            Edit(_FAKE_BATCHES, "sorted(deltas, key=lambda delta: delta.batch_id)", "deltas"),
        ],
        _both("test_transactions.py::test_outcomes_wait_for_an_earlier_batch_before_they_hold_a_later_one"),
    ),
    "the index in whose order a record locks tasks": (
        [
            Edit(
                _FUNCTIONS,
                f"SET enable_seqscan = off\nSET enable_bitmapscan = off\n{_OF_RECORD}",
                _OF_RECORD,
            )
        ],
        ["tests/integration/test_task_functions.py::test_no_function_reads_a_table_from_end_to_end"],
    ),
    "the limit on a claim's wait for a row": (
        [Edit(_FUNCTIONS, "        PERFORM set_config('lock_timeout', '1ms', true);\n")],
        ["tests/integration/test_task_functions.py::test_a_claim_waits_for_no_row"],
    ),
    "the limit on locks after a claim": (
        [Edit(_FUNCTIONS, "        PERFORM set_config('lock_timeout', lock_limit, true);\n")],
        ["tests/integration/test_task_functions.py::test_a_claim_leaves_the_limit_on_locks_as_it_was[False]"],
    ),
    "the compare-and-set on the job's stage": (
        [
            Edit(_JOBS, " AND status = 'processing' AND stage = %(stage)s", " AND status = 'processing'"),
            Edit(_FAKE_JOBS, "if row is None or row.stage != key.number:", "if row is None:"),
            Edit(_FAKE_JOBS, "stage=key.number + 1", "stage=row.stage + 1"),
        ],
        _both("test_jobs.py::test_a_stage_is_left_once"),
    ),
    "the status of a stage that finishes": (
        [
            Edit(_STAGES, "            status = 'running'\n            AND (\n", "            (\n"),
            Edit(
                _FAKE_STAGES,
                "        if row is None or row.status not in _LIVE:\n            return False\n"
                "        complete = row.status == StageStatus.RUNNING and row",
                "        assert row is not None\n        complete = row",
            ),
        ],
        _both("test_stage_ends.py::test_a_stage_ends_with_its_last_batch_and_once"),
    ),
    "the one event of a submission": (
        [
            Edit(
                _JOBS,
                "SELECT job_id, 'submitted'::job_event_kind, jsonb_build_object('job_type', job_type) FROM created",
                "SELECT %(job_id)s, 'submitted'::job_event_kind, jsonb_build_object('job_type', %(job_type)s::text)",
            ),
            Edit(_FAKE_JOBS, "        if created:\n", "        if True:\n"),
        ],
        _both("test_job_events.py::test_a_submission_is_told_once"),
    ),
    "the opening of a repair": (
        [
            Edit(_EVENTS, "coalesce(s.openings, 0), %(repair)s", "0, %(repair)s"),
            Edit(_FAKE_EVENTS, "opening = stage.openings if stage else 0", "opening = 0"),
        ],
        _both("test_job_events.py::test_repairs_of_another_opening_and_another_job_have_events_of_their_own"),
    ),
    "the limit of bytes in a page of results": (
        [
            Edit(_TASKS, "            WHERE place = 1 OR sums.bytes <= %(max_bytes)s\n"),
            Edit(_FAKE_TASKS, "json_bytes(row.result, row.error))", "0)"),
        ],
        _both("test_records.py::test_a_page_of_large_results_ends_at_the_limit_of_bytes"),
    ),
    "the results in the size of a page of tasks": (
        [
            Edit(
                _TASKS,
                "            + CASE WHEN %(with_result)s THEN coalesce(octet_length(result::text), 0) ELSE 0 END\n",
            ),
            Edit(_FAKE_TASKS, "for name in included]", "for name in included - {TaskPayload.RESULT}]"),
        ],
        [
            f"{CONTRACT}/test_records.py::test_a_page_of_large_tasks_ends_at_the_limit_of_bytes[{backend}-None]"
            for backend in ("fake", "postgres")
        ],
    ),
    "the oldest transaction that writes, in a poll of events": (
        [
            Edit(
                _EVENTS,
                "SELECT pg_snapshot_xmin(pg_current_snapshot())",
                "SELECT pg_snapshot_xmax(pg_current_snapshot())",
            ),
            Edit(
                "tests/fakes/store.py",
                "return min(self._store.writing, default=self._store.next_writer)",
                "return self._store.next_writer",
            ),
        ],
        _both(
            "test_job_events.py::"
            "test_a_poll_finds_the_event_of_a_transaction_that_commits_later_than_one_with_a_higher_id"
        ),
    ),
    "the last batch of a stopped stage": (
        [
            Edit(_STAGES, "    LIMIT 1\n) IS NULL\n", "    LIMIT 1\n) IS NOT NULL\n"),
            Edit(_FAKE_STAGES, "all(batch.status in BATCH_ENDS", "any(batch.status not in BATCH_ENDS"),
        ],
        _both("test_job_events.py::test_a_stage_that_fails_tells_what_is_left_and_when_its_last_task_has_ended"),
    ),
    "the event of a stage that is stopped": (
        [
            Edit(
                "repositories/stages.py",
                'self._changed("stop", key, status=status) and self._changed("tell_end", key)',
                'self._changed("stop", key, status=status)',
            )
        ],
        _both("test_job_events.py::test_a_stop_that_waits_for_the_last_batch_finds_none_open")[1:],
    ),
    "the statement in which the end of a job locks it": (
        [
            Edit(
                _JOBS,
                "SELECT 1 FROM jobs WHERE job_id = %(job_id)s FOR NO KEY UPDATE;\n\nWITH ended",
                "WITH ended",
            )
        ],
        _both("test_job_events.py::test_an_end_that_waits_for_a_reopening_names_the_new_opening")[1:],
    ),
    "the time of a try of a hook": (
        [
            Edit(_HOOKS, " AND h.due_at <= now()\n    AND (", "\n    AND ("),
            Edit(_FAKE_HOOKS, " or row.due_at > self._now:", ":"),
        ],
        _both("test_end_hooks.py::test_a_hook_is_begun_once_until_its_time_is_over"),
    ),
    "the number of a try of a hook": (
        [
            Edit(
                _HOOKS,
                "DELETE FROM end_hooks WHERE job_id = %(job_id)s AND ended_at = %(ended_at)s AND tries = %(tries)s\n"
                "    RETURNING job_id, tries",
                "DELETE FROM end_hooks WHERE job_id = %(job_id)s RETURNING job_id, tries",
            ),
            Edit(
                _FAKE_HOOKS,
                "(row.ended_at, row.tries) == (attempt.ended_at, attempt.tries)",
                "attempt.tries > 0",
            ),
        ],
        [
            *_both("test_end_hooks.py::test_a_host_whose_time_was_over_ends_nothing"),
            *_both("test_end_hooks.py::test_a_job_that_goes_on_has_no_hook_until_its_next_end"),
        ],
    ),
    "the end to which a hook is owed": (
        [
            Edit(
                _HOOKS,
                "j.job_id = h.job_id AND j.finished_at = h.ended_at AND h.due_at",
                "j.job_id = h.job_id AND h.due_at",
            ),
            Edit(_FAKE_HOOKS, "if row is None or not self._is_owed(row) or", "if row is None or"),
        ],
        _both("test_end_hooks.py::test_a_job_that_goes_on_has_no_hook_until_its_next_end"),
    ),
    "the sweep of overdue hooks": (
        [Edit(_SWEEPER, '            "hooks": lambda: self._all(ends_at, self._hooks),\n')],
        ["tests/unit/engine/stages/test_end_hooks.py::test_a_lost_message_of_a_hook_is_sent_by_the_sweeper"],
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
        "test_batches_that_the_broker_refused_are_sent_without_their_dispatcher",
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
    "the sweep of stopped stages": (
        [Edit(_SWEEPER, '            "stopped": lambda: self._all(ends_at, self._stopped),\n')],
        ["tests/unit/engine/jobs/test_canceller.py::test_the_sweeper_cancels_the_tasks_that_a_dead_worker_had_leased"],
    ),
    "the sweep of interrupted dispatches": _sweep(
        "self._all(ends_at, self._dispatches) + ",
        "test_a_dispatch_whose_message_was_lost_goes_on",
    ),
    "the failure of a task that was told of its timeout": (
        [
            Edit(
                "engine/tasks/task_runner.py",
                "        if cancellation.told_of_timeout:\n            return self._handlers.timed_out(task)\n",
            )
        ],
        ["tests/unit/engine/tasks/test_timeouts.py::test_a_handler_that_gives_up_at_its_timeout_has_not_completed"],
    ),
    "the memory limit of an isolated task": (
        [Edit("engine/tasks/task_process_main.py", "        _limit_memory(call.max_memory_mib)\n")],
        [f"{_ISOLATION}::test_what_ends_a_process_is_the_failure_of_its_task_alone[memory]"],
    ),
    "the memory that earlier tasks leave in a child process": (
        [
            Edit(
                "engine/tasks/task_process_main.py",
                "            if calls and _keeps_too_much(call.max_memory_mib):\n                return",
                "            if False:\n                return",
            )
        ],
        [f"{_ISOLATION}::test_what_earlier_tasks_leave_in_memory_does_not_fail_a_task_with_a_limit"],
    ),
    "another child process for a task that did not start": (
        [Edit("engine/tasks/isolation.py", "if is_new or run.has_started:", "if True:")],
        [f"{_ISOLATION}::test_what_earlier_tasks_leave_in_memory_does_not_fail_a_task_with_a_limit"],
    ),
    "what an isolated task was told": (
        [Edit("engine/tasks/isolation.py", '        if answer["told"]:\n            cancellation()\n')],
        [f"{_ISOLATION}::test_a_handler_learns_that_its_run_is_no_longer_wanted"],
    ),
    "the answer that a checkpoint of an isolated task waits for": (
        [
            Edit(
                "engine/tasks/task_process_state.py",
                "answer = self._wait_for(self._asked)",
                'answer: dict[str, Any] = {"error": None}',
            )
        ],
        [
            f"{_ISOLATION_STATE}::test_an_isolated_run_that_has_lost_its_lease_ends_at_its_next_write[{each}]"
            for each in ("checkpoint", "progress")
        ],
    ),
    "the end of what a run of an isolated task may write": (
        [Edit("engine/tasks/task_process_main.py", "    messages.end()\n")],
        [f"{_ISOLATION_STATE}::test_a_thread_that_outlives_its_run_keeps_nothing_for_the_next_one"],
    ),
    "the release of an isolated task whose checkpoint outlasted a lease": (
        [Edit("engine/tasks/handler_runner.py", "    if not given_up:", "    if True:")],
        [f"{_ISOLATION_STATE}::test_an_outage_that_outlasts_a_lease_spends_no_attempt_of_an_isolated_task"],
    ),
    "the end of a thread whose call was given up": (
        [Edit("engine/tasks/calls.py", "                        if call.ended:\n                            return\n")],
        [f"{_CALLS}::test_a_thread_whose_call_was_given_up_makes_no_other"],
    ),
    "the calls that do not begin after a stop": (
        [Edit("engine/tasks/calls.py", "            self._waiting.clear()\n", "            pass\n")],
        [f"{_CALLS}::test_no_call_begins_after_a_stop"],
    ),
}
