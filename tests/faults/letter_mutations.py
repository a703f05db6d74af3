"""The guards of kept dead letters, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SQL = "repositories/sql/dead_letters.sql"
_FAKE = "tests/fakes/dead_letters.py"
_KEPT = "engine/repair/kept_letters.py"
_CONTRACT = "tests/contract/repositories/test_dead_letter_states.py"
_REQUESTS = "tests/unit/engine/repair/test_kept_letters.py"


def _both(test: str) -> list[str]:
    return [f"{_CONTRACT}::{test}[{backend}]" for backend in ("fake", "postgres")]


def _of_both(test: str, *cases: str) -> list[str]:
    return [f"{_CONTRACT}::{test}[{backend}-{case}]" for backend in ("fake", "postgres") for case in cases]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the count that a resend of a dead letter expects": (
        [
            Edit(_SQL, "state IN ('kept', 'resending') AND resends = %(resends)s", "state IN ('kept', 'resending')"),
            Edit(_FAKE, " or row.resends != resends"),
        ],
        _both("test_one_of_two_resends_that_have_read_the_same_row_begins"),
    ),
    "the state that the end of a resend expects": (
        [
            Edit(_SQL, " AND state = 'resending'"),
            Edit(_FAKE, " or row.state != DeadLetterState.RESENDING"),
        ],
        [
            *_both("test_only_a_resend_that_has_begun_ends"),
            *_both("test_a_dead_letter_that_was_resent_stays_so"),
            *_of_both("test_a_dead_letter_that_was_discarded_stays_so", "0", "1"),
        ],
    ),
    "the refusal of a resend that another request has begun": (
        [Edit(_KEPT, "if not work.dead_letters.begin_resend(dead_letter_id, kept.resends):", "if False:")],
        [
            f"{_REQUESTS}::test_a_dead_letter_is_resent_once",
            f"{_REQUESTS}::test_a_resend_that_another_request_has_begun_meanwhile_sends_nothing",
        ],
    ),
    "the count of a resent task's send": (
        [Edit(_KEPT, "send=work.tasks.count_sends([found.task_id]).get(found.task_id, found.send)", "send=found.send")],
        [
            f"{_REQUESTS}::test_the_message_of_a_waiting_task_is_sent_with_the_next_number",
            f"{_REQUESTS}::test_a_resend_that_the_broker_refuses_is_repeated_by_the_next_request",
        ],
    ),
    "the refusal of a dead letter without a step": (
        [Edit(_KEPT, "    if next_step(message, job, stage) == Step.NOTHING:", "    if False:")],
        [
            f"{_REQUESTS}::test_a_message_of_a_stage_that_has_gone_on_is_not_sent_again",
            f"{_REQUESTS}::test_a_message_of_a_job_that_has_ended_is_not_sent_again",
            f"{_REQUESTS}::test_a_dispatch_of_a_stage_that_the_job_has_not_reached_is_not_sent_again",
            f"{_REQUESTS}::test_an_advance_of_a_stage_that_runs_is_not_sent_again",
            f"{_REQUESTS}::test_a_dispatch_that_waits_for_room_is_not_sent_again",
        ],
    ),
    "the refusal of a dead letter of a task of a stopped stage": (
        [Edit(_KEPT, "    if task.due_at is None:", "    if False:")],
        [f"{_REQUESTS}::test_a_message_of_a_task_of_a_stopped_stage_is_not_sent_again"],
    ),
    "the refusal of a dead letter of an ended task": (
        [Edit(_KEPT, "    if task.status in TASK_ENDS:", "    if False:")],
        [f"{_REQUESTS}::test_a_message_of_a_task_that_has_ended_is_not_sent_again"],
    ),
}
