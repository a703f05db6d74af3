"""The guards of messages that carry a batch, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit
from tests.faults.mutations import CONTRACT
from tests.faults.mutations import MUTATIONS as GUARDS

_FUNCTIONS = "repositories/sql/migrations/0021.task_functions.sql"
_TASKS = "repositories/sql/tasks.sql"
_WORKER = "engine/tasks/worker.py"
_LEFT = "engine/tasks/unclaimed_envelopes.py"
_LETTERS = "engine/repair/dead_letters.py"
_SENDER = "engine/stages/batch_sender.py"
_MODELS = "core/models/batches.py"
_BASE = "controllers/base.py"
_SENT = "tests/unit/engine/stages/test_sent_envelopes.py"

_AGAIN = (
    "test_an_envelope_that_is_delivered_again_while_another_worker_has_its_tasks_waits_for_the_lease",
    "test_retries_whose_messages_a_dead_worker_did_not_send_are_not_lost",
)
_ALONE = "test_the_retry_of_a_task_travels_alone"
_PARKED = "test_tasks_over_a_limit_are_parked_and_woken_alone"
_LATE = (
    "test_an_envelope_whose_rows_are_committed_late_runs",
    "test_an_envelope_without_a_row_is_looked_at_again_five_times_and_then_kept",
)
_SPLIT = "test_a_dead_envelope_is_split_so_that_each_task_has_a_message_of_its_own"
_GUILTY = "test_after_a_dead_envelope_the_guilty_task_alone_fails"
_USELESS = "test_dead_envelopes_that_cannot_be_used_are_kept"
_DEAD = "test_a_dead_envelope_of_ended_tasks_repeats_the_message_of_their_stage"
_ENDED = "test_an_envelope_of_ended_tasks_repeats_the_message_that_a_dead_worker_did_not_send"
_RESENT = (
    "test_a_pending_batch_is_sent_again_in_an_envelope",
    "test_a_resumed_batch_is_sent_in_one_envelope_which_runs_the_tasks_that_wait",
)
_ROOM = f"{_SENT}::test_an_envelope_of_ended_tasks_repeats_the_lost_message_of_a_dispatch_that_has_room_again"

_BATCHES = "tests/unit/engine/stages/test_batch_sender.py"
_SHARED = "engine/stages/shared_sends.py"
_SHARES = "tests/unit/engine/stages/test_shared_sends.py"
_UPDATES = "tests/integration/test_task_updates.py"

_SHOWN = ") THEN 'queued'\n        ELSE status\n    END AS status,\n"
_MARKED_ONLY = _SHOWN.replace("'queued'", "status")

_SINGLE = "TaskMessage(task_id, envelope.batch_id)"
_SPLITS = f"self._unclaimed.handle(TASKS_QUEUE, [{_SINGLE} for task_id in task_ids])"


def _unit(*tests: str) -> list[str]:
    return [f"tests/unit/engine/tasks/test_envelopes.py::{test}" for test in tests]


def _both(test: str, value: str = "") -> list[str]:
    return [f"{CONTRACT}/test_envelopes.py::{test}[{backend}{value}]" for backend in ("fake", "postgres")]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the batch in its claim": (
        [Edit(_FUNCTIONS, "WHERE t.batch_id = p_batch_id AND t.status", "WHERE t.status")],
        _both("test_a_claim_of_a_batch_tells_what_to_run")[1:],
    ),
    "the skipped locks in the claim of a batch": (
        [Edit(_FUNCTIONS, "FOR NO KEY UPDATE SKIP LOCKED", "FOR NO KEY UPDATE")],
        _both("test_a_claim_of_a_batch_leaves_out_a_task_that_another_transaction_holds")[1:],
    ),
    "the end of a lease in the claim of a batch": (
        GUARDS["the end of a lease in claim"][0],
        _both("test_a_claim_of_a_batch_leaves_out_what_may_not_run_now"),
    ),
    "the status of the stage in the claim of a batch": (
        GUARDS["the status of the stage in claim"][0],
        _both("test_no_task_of_a_stopped_stage_is_claimed_with_its_batch"),
    ),
    "the release before the claim of a batch is repeated": (
        [
            Edit(
                _WORKER,
                "            transact(self._database, lambda work: self._unclaim(work, wanted.ids(work), lease_id))\n",
            )
        ],
        _unit("test_a_claim_whose_acknowledgement_is_lost_spends_no_attempt"),
    ),
    "the limits of the tasks of a batch": (
        [Edit(_WORKER, "wanted.batch_id is not None and not self._slots.have_limits", "wanted.batch_id is not None")],
        _unit(_PARKED),
    ),
    "the queue of what follows an envelope": (
        [Edit(_WORKER, "self._run_claimed(TASKS_QUEUE, Wanted(b", 'self._run_claimed("sb-batches", Wanted(b')],
        _unit(_ALONE),
    ),
    "the tasks that an envelope leaves": (
        [Edit(_WORKER, "if len(settled) < BATCH_SIZE:", "if not settled:")],
        _unit(_AGAIN[0]),
    ),
    "the read that a full batch needs not": (
        [Edit(_WORKER, "if len(settled) < BATCH_SIZE:", "if True:")],
        _unit("test_a_full_batch_costs_no_further_read"),
    ),
    "the settled tasks of an envelope": (
        [Edit(_LEFT, " if task_id not in settled)", ")")],
        _unit(_ALONE, _PARKED),
    ),
    "the envelope for tasks that are not due": (
        [
            Edit(
                _LEFT,
                "[state.due_at for state in states if state.due_at is not None], now)",
                "[], now)",
            )
        ],
        _unit(*_AGAIN),
    ),
    "the first time at which a task of a batch is due": (
        [Edit(_LEFT, "max(min(due_times),", "max(max(due_times),")],
        _unit(*_AGAIN),
    ),
    "the second that an envelope waits at least": (
        [Edit(_LEFT, "max(min(due_times), now + timedelta(seconds=1))", "min(due_times)")],
        _unit("test_an_envelope_is_not_rescheduled_for_less_than_a_second"),
    ),
    "the id of a rescheduled envelope": (
        [Edit(_LEFT, '[replace(again, message_id=f"{again.message_id}-{uuid.uuid4().hex[:8]}")]', "[again]")],
        _unit("test_each_rescheduled_envelope_has_a_message_id_of_its_own"),
    ),
    "the messages that an envelope of ended tasks repeats": (
        [Edit(_LEFT, "        self._messages.handle(TASKS_QUEUE, ended[:1])  # the stage may still have to advance\n")],
        [*_unit(_ENDED), _ROOM],
    ),
    "the rows that an envelope waits for": ([Edit(_LEFT, "if not task_ids:", "if False:")], _unit(_LATE[1])),
    "the misses of an envelope": (
        [Edit(_LEFT, "if envelope.misses >= MAX_MISSES:", "if True:")],
        _unit(*_LATE),
    ),
    "the unreadable envelope": (
        [
            Edit(
                "engine/tasks/inbox.py",
                "            keep(self._database, BATCHES_QUEUE, raw, UNREADABLE, str(exc))\n",
            )
        ],
        _unit("test_an_unreadable_envelope_is_kept"),
    ),
    "the message of a task that is no envelope": (
        [
            Edit(
                "core/messages.py",
                '        if "task_id" in fields:\n'
                '            raise MessageFormatError("the message is that of a task, not an envelope")\n',
            )
        ],
        _unit("test_an_unreadable_envelope_is_kept"),
    ),
    "the dead letters of sb-batches": (
        [Edit("engine/repair/dead_letter_batches.py", "elif queue_name == BATCHES_QUEUE:", "elif False:")],
        _unit(_SPLIT, _GUILTY, _USELESS, _DEAD),
    ),
    "the split of a dead envelope": (
        [Edit(_LETTERS, _SPLITS, "send(self._queue, BATCHES_QUEUE, [envelope.outgoing()])")],
        _unit(_SPLIT, _GUILTY, _DEAD),
    ),
    "the envelope that expired": (
        [Edit(_LETTERS, "        elif dead.reason == EXPIRED:\n", "        elif False:\n")],
        _unit("test_an_envelope_that_expired_while_it_waited_is_sent_again_as_one"),
    ),
    "the counted sends of a split": (
        [
            Edit(
                _LETTERS,
                _SPLITS,
                f"send(self._queue, TASKS_QUEUE, [{_SINGLE}.outgoing() for task_id in task_ids])",
            )
        ],
        _unit(_SPLIT, _DEAD),
    ),
    "the dead envelope without a row": (
        [Edit(_LETTERS, "        if not task_ids:\n", "        if False:\n")],
        _unit(_USELESS),
    ),
    "the number of a resent envelope": (
        [Edit(_SENDER, "[BatchMessage(batch_id, resend.send_attempt)]", "[BatchMessage(batch_id)]")],
        _unit(*_RESENT),
    ),
    "the envelope of a resend": (
        [Edit(_SENDER, "        if resend.enveloped:\n", "        if False:\n")],
        _unit(*_RESENT),
    ),
    "the queue of a resent envelope": (
        [Edit(_SENDER, "urgent=self._urgent, enveloped=resend.enveloped)", "urgent=self._urgent)")],
        _unit(*_RESENT),
    ),
    "the batches of urgent jobs": (
        [
            Edit(
                _SENDER,
                "return replace(batch, enveloped=False) if batch.enveloped and self._urgent else batch",
                "return batch",
            )
        ],
        _unit(
            *(
                f"test_the_batches_of_an_urgent_job_travel_as_a_message_per_task[{protocol}]"
                for protocol in ("two_phase", "atomic")
            )
        ),
    ),
    "the batches of long tasks": (
        [Edit(_BASE, "if enveloped and batch.lane == Lane.FAST else", "if enveloped else")],
        _unit("test_long_tasks_travel_as_a_message_per_task"),
    ),
    "the batches of one task": (
        [Edit(_BASE, "message_per == MessagePer.BATCH and batch_size > 1", "message_per == MessagePer.BATCH")],
        [f"{_SENT}::test_tasks_that_are_queued_one_by_one_have_no_envelopes"],
    ),
    "the messages of a repaired batch": (
        [Edit(_SENDER, "resend.message_count}", "len(resend.sends)}")],
        _unit(_RESENT[0]),
    ),
    "the row of a batch in an envelope": (
        [
            Edit("repositories/tasks.py", '"enveloped": batch.enveloped or None', '"enveloped": None'),
            Edit("tests/fakes/task_rows.py", "        enveloped=batch.enveloped,\n"),
        ],
        _both("test_the_row_of_a_batch_says_how_it_travels", "-True"),
    ),
    "the envelope in the row of a resend": (
        [
            Edit(
                "repositories/sql/batches.sql",
                "RETURNING send_attempts, coalesce(enveloped, false) AS enveloped",
                "RETURNING send_attempts, false AS enveloped",
            ),
            Edit("tests/fakes/batches.py", "sends, row.enveloped)", "sends)"),
        ],
        _both("test_a_reopened_batch_travels_as_before"),
    ),
    "the envelope that the sweeper finds": (
        [
            Edit(
                "repositories/sql/sweeps.sql",
                "coalesce(b.enveloped, false) AS enveloped",
                "false AS enveloped",
            ),
            Edit(
                "tests/fakes/sweeps.py", "self._is_urgent(row.job_id), row.enveloped)", "self._is_urgent(row.job_id))"
            ),
        ],
        _both("test_the_row_of_a_batch_says_how_it_travels", "-True"),
    ),
    "the mark of a batch in an envelope": (
        [Edit(_SENDER, "sending.send_attempt, enveloped=sending.enveloped)", "sending.send_attempt)")],
        [f"{_UPDATES}::test_a_dispatch_writes_the_rows_of_the_tasks_in_an_envelope_once"],
    ),
    "the envelopes that share a send": (
        [Edit(_SENDER, "if queue_name == BATCHES_QUEUE and len(outgoing) == 1:", "if False:")],
        [f"{_BATCHES}::test_envelopes_that_are_ready_together_share_a_send_and_each_batch_has_its_outcome"],
    ),
    "the outcome of a shared send": (
        [
            Edit(
                _SHARED,
                "each.outcome = outcome\n",
                "each.outcome = outcome if each is together[0] else SendResult(True, 1)\n",
            )
        ],
        [f"{_SHARES}::test_a_send_that_fails_fails_each_of_its_batches_and_no_other"],
    ),
    "the error of a shared send": (
        [Edit(_SHARED, "            outcome = exc\n", "            outcome = SendResult(False, 0, exc)\n")],
        [f"{_SHARES}::test_an_error_of_a_send_is_raised_for_each_of_its_batches"],
    ),
    "the long send that an envelope does not wait for": (
        [Edit(_SHARED, "or not self._under_way, LONG_WAIT_SECONDS)", "or not self._under_way)")],
        [f"{_SHARES}::test_an_envelope_does_not_wait_for_a_long_send"],
    ),
    "the most envelopes of a send": (
        [Edit(_SHARED, "while self._waiting and len(together) < MOST_TOGETHER:", "while self._waiting:")],
        [f"{_SHARES}::test_no_more_envelopes_travel_together_than_a_send_may_have"],
    ),
    "the tasks of an envelope that are not marked": (
        [
            Edit("repositories/batches.py", "        if not enveloped:\n", "        if True:\n"),
        ],
        [f"{_UPDATES}::test_a_dispatch_writes_the_rows_of_the_tasks_in_an_envelope_once"],
    ),
    "the status of a task in an envelope": (
        [
            Edit(_TASKS, f"{_SHOWN}    parameters, result", f"{_MARKED_ONLY}    parameters, result"),
            Edit("tests/fakes/tasks.py", "as_task(self._shown(row))", "as_task(row)"),
        ],
        _both("test_the_tasks_of_an_envelope_are_queued_when_their_batch_is"),
    ),
    "the status of a task in an envelope on a page": (
        [
            Edit(_TASKS, f"{_SHOWN}    CASE WHEN %(with_p", f"{_MARKED_ONLY}    CASE WHEN %(with_p"),
            Edit("tests/fakes/tasks.py", "in map(self._shown, of_job)", "in of_job"),
        ],
        _both("test_the_tasks_of_an_envelope_are_queued_when_their_batch_is"),
    ),
    "the status for which tasks of an envelope are looked for": (
        [Edit(_TASKS, "                    ) THEN 'queued'\n", "                    ) THEN status\n")],
        _both("test_the_tasks_of_an_envelope_are_queued_when_their_batch_is")[1:],
    ),
    "the pending batch whose tasks are counted as sent again": (
        [
            Edit(
                _TASKS,
                "\n    AND (SELECT b.status FROM batches AS b WHERE b.batch_id = %(batch_id)s) = 'pending_queue'",
            ),
            Edit(
                "tests/fakes/tasks.py", "batch is None or batch.status != BatchStatus.PENDING_QUEUE:", "batch is None:"
            ),
        ],
        _both("test_a_batch_in_an_envelope_is_counted_as_sent_again_only_while_it_is_pending"),
    ),
    "the queue that refuses envelopes": (
        [
            Edit(
                _MODELS,
                "self.lane.queue(urgent=self.urgent, enveloped=self.enveloped)",
                "self.lane.queue(urgent=False)",
            )
        ],
        [
            f"{_SENT}::test_a_queue_that_refuses_batches_does_not_keep_the_sweeper_from_those_of_another_queue[{first}]"
            for first in (True, False)
        ],
    ),
}
