"""The limits for calls, and what makes good a call without an answer, each with the trials that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_TRIAL = "tests/faults/answers/test_answers.py::test_nothing_is_lost_and_no_neighbour_waits_long[{}]"
_CLAIMED = _TRIAL.format("plain-run_tasks-Worker._claim-commit-unanswered")
_RECORDED = _TRIAL.format("plain-run_tasks-Recorder._write_or_keep_lease-record-unanswered")
_SENT = _TRIAL.format("plain-run_job_message-BatchSender._send-send_to_sb-tasks-unheard")
_OTHER_TASKS = (
    "tests/faults/answers/test_versions.py::"
    "test_a_batch_of_the_previous_version_with_other_tasks_fails_its_job_and_no_neighbour"
)
_IMPATIENT = Edit("tests/faults/answers/world.py", "_LIFE_SECONDS = 300.0", "_LIFE_SECONDS = 20.0")
"""A trial whose call hangs ends sooner."""
_SOON_HEARD = Edit("tests/faults/answers/calls.py", "MOST_SILENT_SECONDS = 60.0", "MOST_SILENT_SECONDS = 5.0")
"""A trial whose health is told after the silence ends sooner."""

MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the deadline of a statement": (
        [
            Edit("repositories/guarded_connection.py", "self._socket.shutdown(socket.SHUT_RDWR)", "pass"),
            _IMPATIENT,
        ],
        [_CLAIMED],
    ),
    "the deadline of a call to the broker": (
        [
            Edit(
                "repositories/broker_calls.py",
                "self.is_ended.wait(max(self._until - time.monotonic(), 0))",
                "self.is_ended.wait()",
            ),
            _IMPATIENT,
        ],
        [_SENT],
    ),
    "the limit of a transaction's pause": (
        [
            Edit("repositories/sql/database.sql", ";\nSET LOCAL idle_in_transaction_session_timeout = %(idle)s"),
            _IMPATIENT,
        ],
        [_RECORDED],
    ),
    "the time in which the health is told": (
        [
            Edit(
                "engine/process/probe.py",
                "self._has_ended.wait(max(self._begun_at + seconds - time.monotonic(), 0))",
                "self._has_ended.wait()",
            ),
            _SOON_HEARD,
        ],
        [_CLAIMED],
    ),
    "the failures that count against a job": (
        [
            Edit(
                "engine/stages/stage_engine.py",
                "except (UnknownJobTypeError, UnknownStageError) as exc:  # a deployment may be under way",
                "except Exception as exc:",
            )
        ],
        [_TRIAL.format("short_leases-run_job_message-BatchSender.two_phase-batch_create_tasks-refused_8_times")],
    ),
    "the release before a claim is repeated": (
        [
            Edit(
                "engine/tasks/worker.py",
                "            transact(self._database, lambda work: self._unclaim(work, wanted.ids(work), lease_id))\n",
            )
        ],
        [_CLAIMED],
    ),
    "the locked rows that a claim skips": (
        [
            Edit(
                "repositories/sql/migrations/0021.task_functions.sql",
                "FOR NO KEY UPDATE SKIP LOCKED",
                "FOR NO KEY UPDATE",
            )
        ],
        ["tests/integration/test_locked_rows.py::test_a_locked_task_comes_later_and_the_other_99_run_at_once"],
    ),
    "the digest of a batch that exists": (
        [Edit("engine/stages/batch_sender.py", "if existing.digest != batch.digest:", "if False:")],
        [_OTHER_TASKS],
    ),
}
