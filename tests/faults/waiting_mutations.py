"""The guards of waiting jobs and exclusive keys, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SQL = "repositories/sql/job_waits.sql"
_FAKE = "tests/fakes/job_waits.py"
_FAKE_KEYS = "tests/fakes/job_keys.py"
_JOBS = "engine/jobs/waiting_jobs.py"
_UNIT = "tests/unit/engine/jobs/test_waiting_jobs.py"
_LIVE_BATCH = (
    "    AND (\n        SELECT true FROM batches AS b\n"
    "        WHERE b.job_id = j.job_id AND b.stage = j.stage AND b.status IN ('pending_queue', 'queued')\n"
    "        LIMIT 1\n    ) IS NULL"
)


def _both(test: str) -> list[str]:
    return [f"tests/contract/repositories/test_job_waits.py::{test}[{backend}]" for backend in ("fake", "postgres")]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the holder of a key": (
        [
            Edit(_SQL, "ON k.key = w.exclusive_key AND k.job_id = w.job_id", "ON k.key = w.exclusive_key"),
            Edit(_FAKE, "return self._tables.job_keys.get(row.exclusive_key) == job_id", "return True"),
        ],
        _both("test_a_key_has_one_holder"),
    ),
    "the turn of a job that waits for a key": (
        [
            Edit(_SQL, "        %(in_turn)s\n        AND EXISTS", "        %(in_turn)s AND false\n        AND EXISTS"),
            Edit(_FAKE, "if not (in_turn and self._before(row)):", "if True:"),
        ],
        _both("test_a_job_leaves_the_key_to_one_that_waits_longer_and_for_nothing_else"),
    ),
    "the live batches of a job that releases its key": (
        [
            Edit(_SQL, f"{_LIVE_BATCH}\n\n-- name: candidates_after", "\n-- name: candidates_after"),
            Edit(
                _FAKE_KEYS,
                "    if any(batch.status not in BATCH_ENDS for batch in "
                "tables.batches_of(StageKey(job_id, job.stage))):\n        return False\n",
            ),
        ],
        _both("test_the_last_batch_of_a_stopped_stage_releases_the_key"),
    ),
    "the end of a job whose last batch releases its key": (
        [
            Edit(
                "repositories/sql/stages.sql",
                "WHERE k.job_id = j.job_id AND j.finished_at IS NOT NULL",
                "WHERE k.job_id = j.job_id",
            ),
            Edit(_FAKE_KEYS, "job is None or job.finished_at is None or not held", "job is None or not held"),
        ],
        _both("test_the_last_batch_of_a_stage_releases_no_key_of_a_job_that_has_not_ended"),
    ),
    "the lock of the stage at the release of a key": (
        [Edit(_SQL, "WHERE s.job_id = %(job_id)s\nFOR NO KEY UPDATE OF s;", "WHERE s.job_id = %(job_id)s;")],
        _both("test_the_end_of_a_job_and_of_its_last_batch_at_once_release_its_key")[1:],
    ),
    "the lock of the jobs before a job": (
        [Edit(_SQL, "\nORDER BY job_id\nFOR SHARE", "\nORDER BY job_id")],
        _both("test_the_end_of_a_job_waits_for_a_submission_that_starts_after_it")[1:],
    ),
    "the pruning of a job whose end a waiting job has not seen": (
        [
            Edit(
                "repositories/sql/pruning.sql",
                "WHERE d.after_job_id = j.job_id AND d.completed_at IS NULL",
                "WHERE false",
            ),
            Edit("tests/fakes/pruning.py", " and row.job_id not in awaited"),
        ],
        _both("test_a_job_whose_end_a_waiting_job_has_not_seen_is_not_pruned"),
    ),
    "the time of a waiting job": (
        [Edit(_JOBS, "if wait.open_after or not wait.is_due:", "if wait.open_after:")],
        [f"{_UNIT}::test_a_job_begins_at_its_time"],
    ),
    "the jobs before a waiting job": (
        [Edit(_JOBS, "if wait.open_after or not wait.is_due:", "if not wait.is_due:")],
        [f"{_UNIT}::test_a_job_begins_when_those_before_it_have_completed"],
    ),
    "the failure of a job before a waiting job": (
        [Edit(_JOBS, "if lost is not None:", "if False:")],
        [
            f"{_UNIT}::test_jobs_after_one_that_does_not_complete_are_cancelled_with_the_reason[{how}]"
            for how in ("cancelled", "failed")
        ],
    ),
    "the sweep of waiting jobs": (
        [Edit("engine/repair/sweeper.py", '            "waiting": lambda: self._waiting(ends_at),\n')],
        [
            f"{_UNIT}::test_{test}"
            for test in (
                "a_far_time_has_no_message_and_is_found_by_the_sweeper",
                "a_key_that_a_host_without_keys_has_left_is_released_by_the_sweeper",
                "what_waits_for_a_job_is_found_by_the_sweeper_when_its_end_is_cut_off",
            )
        ],
    ),
    "the key of a retried job": (
        [Edit("engine/jobs/reopener.py", "if may_be_exclusive(self._registry, job.job_type) and", "if False and")],
        [f"{_UNIT}::test_a_retry_takes_the_key_again_or_is_refused"],
    ),
}
