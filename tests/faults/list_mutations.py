"""The guards of lists of tasks and of what handlers read, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_LISTS = "engine/tasks/list_runner.py"
_READS = "engine/tasks/task_reads.py"
_ITEMS = "controllers/task_items.py"
_READ_TESTS = "tests/unit/engine/tasks/test_task_reads.py"
_LIST_TESTS = "tests/unit/engine/tasks/test_batch_handlers.py"
_COUNTS = "test_the_counts_of_a_stage_read_the_tasks_of_so_many_batches_and_of_no_more"


def _reading(test: str) -> list[str]:
    return [f"{_READ_TESTS}::{test}[{read}]" for read in ("read_results", "read_parameters", "swallow_errors")]


def _counts(*cases: str) -> list[str]:
    return [f"tests/integration/test_query_plans.py::{_COUNTS}[{case}]" for case in cases]


def _counting(*answers: str) -> list[str]:
    test = "test_if_the_number_of_outcomes_is_wrong_none_of_them_counts"
    return [f"{_LIST_TESTS}::{test}[{answer}]" for answer in answers]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the tasks that the counts of a stage read": (
        [Edit("repositories/sql/stages.sql", "coalesce(sum(task_count), 0) > %(most_tasks)s", "false")],
        _counts("60-9999-63-98", "30-9999-70-98", "0-9999-45-98", "98-9999-25-98"),
    ),
    "the sample of batches of which no task has ended": (
        [Edit("repositories/sql/stages.sql", "ELSE 'rest'", "ELSE 'first'")],
        _counts("30-9999-70-98", "0-9999-45-98"),
    ),
    "the wait of a read in an outage": (
        [
            Edit(
                _READS,
                "return self._outages.run(action, self._outages.deadline(self._lease_seconds))",
                "return action()",
            )
        ],
        _reading("test_a_read_waits_for_the_end_of_an_outage"),
    ),
    "the release of a task whose read gave up": (
        [Edit("engine/tasks/handler_runner.py", "    if not given_up:", "    if True:")],
        _reading("test_a_task_that_cannot_read_in_an_outage_is_released_and_has_not_failed"),
    ),
    "the errors that a read gives up with": (
        [Edit(_READS, "if exc.waited_out:", "if True:")],
        [f"{_READ_TESTS}::test_a_value_that_cannot_be_read_is_the_tasks_own_failure"],
    ),
    "the jobs of a list": (
        [Edit(_LISTS, "(task.job_id, task.stage, task.task_type)", "(task.task_type,)")],
        [f"{_LIST_TESTS}::test_tasks_of_two_jobs_are_never_in_one_list"],
    ),
    "the interruptions of a task in a list": (
        [Edit(_LISTS, " and task.interruptions <= MAX_INTERRUPTIONS")],
        [f"{_LIST_TESTS}::test_a_suspect_is_a_list_of_one_and_one_that_was_interrupted_too_often_is_in_none"],
    ),
    "the fewest outcomes of a list": (
        [Edit(_ITEMS, "if count < len(items):", "if False:")],
        _counting("too_few", "too_few_yielded", "none"),
    ),
    "the outcomes of a list with a wrong number": (
        [Edit(_LISTS, "if isinstance(failure, BatchHandlerError) and not may_end_early:", "if False:")],
        _counting("too_few", "too_few_yielded", "too_many"),
    ),
    "the outcomes that a list gives too late": (
        [Edit(_LISTS, "if not self._counts_no_more:", "if True:")],
        [
            f"{_LIST_TESTS}::test_a_list_that_learns_of_a_shutdown_keeps_only_the_outcomes_that_it_gave_before[returning]",
            f"{_LIST_TESTS}::test_when_a_read_gives_up_only_the_outcomes_before_it_count[swallow]",
        ],
    ),
    "the tasks of a list that ends early": (
        [Edit(_LISTS, "if failure is not None and not may_end_early:", "if failure is not None:")],
        [
            f"{_LIST_TESTS}::test_a_list_that_learns_of_a_shutdown_keeps_only_the_outcomes_that_it_gave_before[yielding]",
            f"{_LIST_TESTS}::test_when_a_read_gives_up_only_the_outcomes_before_it_count[do_not_swallow]",
        ],
    ),
    "the failures of a list whose job is cancelled": (
        [Edit(_LISTS, " if each.status == TaskStatus.COMPLETED or not self._told_of_stop")],
        [f"{_LIST_TESTS}::test_a_list_that_ends_early_because_its_job_is_cancelled_has_not_failed[gives_errors]"],
    ),
}
