"""The guards of a retry of a part, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_PARTS = "repositories/sql/retry_parts.sql"
_STAGES = "repositories/sql/stages.sql"
_FAKE_PARTS = "tests/fakes/retry_parts.py"
_FAKE_STAGES = "tests/fakes/stages.py"
_UNIT = "tests/unit/engine/jobs/test_retried_parts.py"
_ROUTE = "tests/unit/api/test_retry_parts.py"


def _both(test: str, case: str = "") -> list[str]:
    """A test of the contract suite, for the fake and for PostgreSQL."""
    return [f"tests/contract/repositories/test_retry_parts.py::{test}[{each}{case}]" for each in ("fake", "postgres")]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the part by which a dispatcher decides": (
        [
            Edit(
                "engine/stages/stage_dispatcher.py",
                "self._part(stage.opening)",
                "None",
            )
        ],
        [f"{_UNIT}::test_exactly_the_chosen_tasks_run_again[{what}]" for what in ("batch", "tasks", "error")],
    ),
    "the opening of a part": (
        [
            Edit(_PARTS, " AND opening = %(opening)s\n\n-- name: places", "\n\n-- name: places"),
            Edit(_FAKE_PARTS, " and row.opening == opening.opening else None", " else None"),
        ],
        _both("test_a_part_holds_for_one_opening"),
    ),
    "the opening of a stage of which a part is reopened": (
        [
            Edit(_PARTS, "status = 'dispatching' AND openings = %(opening)s", "status = 'dispatching'"),
            Edit(_FAKE_PARTS, " or stage.opening != opening:", ":"),
        ],
        _both("test_a_part_holds_for_one_opening"),
    ),
    "the end of the dispatch of a part": (
        [
            Edit(_PARTS, "status = 'dispatching' AND openings = %(opening)s", "openings = %(opening)s"),
            Edit(_FAKE_PARTS, " or stage.status != StageStatus.DISPATCHING or ", " or "),
        ],
        _both("test_nothing_is_reopened_in_a_stage_that_is_not_dispatching"),
    ),
    "how far a part has been decided": (
        [
            Edit(_PARTS, "b.batch_id > p.after_batch_id AND "),
            Edit(_FAKE_PARTS, "batch.batch_id > row.after_batch_id\n            and ", ""),
        ],
        _both("test_a_batch_without_tasks_of_the_part_is_decided_on_once"),
    ),
    "failures that a part keeps": (
        [
            Edit(_STAGES, "(failed_tasks - coalesce(kept_failed_tasks, 0))", "failed_tasks"),
            Edit(
                _FAKE_STAGES, "row.failed_tasks - (0 if complete else row.kept_failed_tasks or 0)", "row.failed_tasks"
            ),
        ],
        _both("test_kept_failures_end_their_stage_only_when_its_other_tasks_have_ended", "-0.0-failed"),
    ),
    "new failures of a part": (
        [
            Edit(_PARTS, "kept_failed_tasks - %(reopened)s", "kept_failed_tasks"),
            Edit(_FAKE_PARTS, "(stage.kept_failed_tasks or 0) - again[batch.batch_id]", "stage.kept_failed_tasks"),
        ],
        _both("test_a_new_failure_ends_a_stage_that_tolerates_none"),
    ),
    "failures that an earlier part has kept": (
        [
            Edit(_STAGES, "CASE WHEN %(failed_too)s THEN NULL ELSE kept_failed_tasks END", "kept_failed_tasks"),
            Edit(_FAKE_STAGES, "None if failed_too else row.kept_failed_tasks", "row.kept_failed_tasks"),
        ],
        _both("test_a_retry_in_whole_keeps_no_failure"),
    ),
    "failures that a resumed part keeps": (
        [
            Edit(_STAGES, "CASE WHEN %(failed_too)s THEN NULL ELSE kept_failed_tasks END", "NULL"),
            Edit(_FAKE_STAGES, "None if failed_too else row.kept_failed_tasks", "None"),
        ],
        _both("test_a_resume_keeps_the_failures_that_a_part_has_kept"),
    ),
    "the status of the tasks of a part": (
        [Edit("engine/jobs/part_check.py", "elif status != TaskStatus.FAILED:", "elif False:")],
        [f"{_ROUTE}::test_a_task_that_has_not_failed_is_named"],
    ),
    "the stage of the tasks of a part": (
        [Edit("engine/jobs/part_check.py", "    if is_used:", "    if False:")],
        [f"{_UNIT}::test_failures_that_later_stages_have_used_cannot_be_retried[tasks]"],
    ),
}
