"""The guards of a dispatch that waits for room, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_STAGES = "repositories/sql/stages.sql"
_SWEEPS = "repositories/sql/sweeps.sql"
_FAKE_STAGES = "tests/fakes/stages.py"
_FAKE_SWEEPS = "tests/fakes/sweeps.py"
_WINDOW = "engine/stages/dispatch_window.py"


def _both(test: str) -> list[str]:
    """A test of the contract suite, for the fake and for PostgreSQL."""
    return [f"tests/contract/repositories/test_room.py::{test}[{backend}]" for backend in ("fake", "postgres")]


def _ahead(*tests: str) -> list[str]:
    return [f"tests/unit/engine/stages/test_dispatch_ahead.py::{test}" for test in tests]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the room that a new batch needs": (
        [Edit(_WINDOW, "            self._require_room(batch.task_count)\n")],
        _ahead("test_a_job_of_ten_overtakes_the_rest_of_a_large_one"),
    ),
    "the room that reopened batches need": (
        [Edit(_WINDOW, "        left = self.room.left()\n        while", "        left = 10**9\n        while")],
        _ahead("test_a_retry_reopens_no_more_tasks_than_there_is_room_for"),
    ),
    "the lock before a dispatch waits for room": (
        [
            Edit(
                _STAGES,
                "SELECT 1 FROM stages\nWHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching'"
                " AND dispatch_lease_id = %(lease_id)s\nFOR NO KEY UPDATE;\n\n",
            )
        ],
        _both("test_a_batch_that_has_just_ended_counts_for_a_dispatch_that_would_wait")[1:],
    ),
    "the dispatch that goes on because workers were faster": (
        [
            Edit(
                "engine/stages/stage_dispatcher.py",
                "self._waits_for_room(lease, message, window)):",
                "(self._waits_for_room(lease, message, window) or True)):",
            )
        ],
        _ahead("test_a_dispatch_goes_on_at_once_if_its_tasks_end_while_it_decides_to_wait"),
    ),
    "the one transaction that finds the room": (
        [
            Edit(
                "repositories/stages.py",
                'finished - row["ended_now"] < room_after <= finished',
                "room_after <= finished",
            ),
            Edit(_FAKE_STAGES, "row.finished_batches < row.room_after <= finished", "row.room_after <= finished"),
        ],
        _both("test_one_transaction_finds_the_room"),
    ),
    "the message of a dispatch that has room again": (
        [Edit("engine/tasks/recorder.py", "        elif stage.has_room:", "        elif False:")],
        _ahead("test_a_stage_goes_on_once_when_half_of_its_tasks_have_ended"),
    ),
    "the repetition of this message by messages of ended tasks": (
        [
            Edit(
                "engine/tasks/unclaimed_messages.py",
                "                JobAction.DISPATCH: work.stages.waiting_with_room(sorted(keys)),\n",
            )
        ],
        _ahead("test_messages_of_ended_tasks_repeat_the_lost_message_of_the_dispatch"),
    ),
    "the sweep of stages with room": (
        [Edit("engine/repair/sweeper.py", " + self._all(ends_at, self._with_room)")],
        _ahead(
            "test_the_sweeper_goes_on_with_a_dispatch_whose_message_is_lost",
            "test_a_stage_goes_on_when_each_batch_has_one_slow_task",
        ),
    ),
    "the wait that is no interruption": (
        [
            Edit(_SWEEPS, "    AND s.room_after IS NULL\n"),
            Edit(_FAKE_SWEEPS, "                and row.room_after is None\n"),
        ],
        _both("test_a_stage_that_waits_for_room_is_not_interrupted"),
    ),
    "the silence of a stage that waits for room": (
        [Edit(_SWEEPS, " OR (s.status = 'dispatching' AND s.room_after IS NOT NULL))", ")")],
        _both("test_a_stage_that_waits_for_room_may_be_silent")[1:],
    ),
    "the end of the wait when a dispatcher takes the lease": (
        [
            Edit(_STAGES, ",\n    room_after = NULL\nWHERE", "\nWHERE"),
            Edit(_FAKE_STAGES, "dispatch_lease_expires_at=until, room_after=None)", "dispatch_lease_expires_at=until)"),
        ],
        _both("test_one_transaction_finds_the_room"),
    ),
    "the end of the wait when a stage is reopened": (
        [
            Edit(_STAGES, " room_after = NULL, folded_tasks", " folded_tasks"),
            Edit(_FAKE_STAGES, "            room_after=None,\n"),
        ],
        _both("test_a_reopened_stage_does_not_wait"),
    ),
    "the message that a stage without room ignores": (
        [
            Edit(
                "engine/stages/step.py",
                "return Step.NOTHING if stage.waits_for_room else Step.DISPATCH",
                "return Step.DISPATCH",
            )
        ],
        _ahead("test_a_message_for_a_stage_that_waits_for_room_replays_nothing"),
    ),
}
