"""A run keeps checkpoints and progress for the next one, and may go on in another run."""

import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from controllers.context import Handler, JsonValue, TaskContext
from controllers.run_state import PROGRESS_SECONDS
from core.errors import ContinueLater, DatabaseUnavailableError, RefusedValueError, TaskLeaseLostError
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.models import Task
from core.statuses import JobStatus, TaskStatus
from engine.tasks import run_states
from engine.tasks.run_states import MAX_IDLE_CONTINUATIONS
from tests.fakes.database import FakeDatabase
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, received, second_process, stand, task_messages
from tests.support.sample_jobs import counted, sample_job
from tests.support.waiting import wait_until


def only_task(it: Stand, job_id: str) -> Task:
    (task,) = it.tasks(job_id)
    return task


def run_to_the_end(handler: Handler, **changes: Any) -> Task:
    """The only task of a job, after its job has ended."""
    with stand(sample_job(counted(1), handler), **changes) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        assert it.job(job_id).status in {JobStatus.COMPLETED, JobStatus.FAILED}
        return only_task(it, job_id)


def in_steps(last: int) -> Handler:
    """A handler that goes on later after each of its steps; its result says what each run found."""

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        found: list[Any] = [*(context.last_checkpoint or []), context.attempt]
        if len(found) <= last:
            raise ContinueLater(found)
        return found

    return handler


def test_a_retry_goes_on_from_the_last_checkpoint() -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        done: int = context.last_checkpoint or 0
        for row in range(done, done + 3):
            context.checkpoint(row + 1)
        assert context.last_checkpoint == done + 3
        if context.attempt < 3:
            raise OSError("no")
        return done

    task = run_to_the_end(handler)
    assert (task.status, task.result, task.attempt, task.failures) == (TaskStatus.COMPLETED, 6, 3, 2)


def test_a_checkpoint_is_what_was_written_and_not_what_the_handler_made_of_it() -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        state = {"rows": [1]}
        context.checkpoint(state)
        state["rows"].append(2)
        return context.last_checkpoint

    assert run_to_the_end(handler).result == {"rows": [1]}


def test_a_task_goes_on_in_another_run_without_spending_an_attempt() -> None:
    with stand(sample_job(counted(1), in_steps(4))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        task = only_task(it, job_id)
        assert (task.status, task.attempt, task.failures, task.error) == (TaskStatus.RETRYING, 0, 0, None)
        started_at = task.started_at
        it.clock.advance(10)
        it.deliver_task_messages()
        it.pump()
        task = only_task(it, job_id)
        assert (task.status, task.result, task.attempt) == (TaskStatus.COMPLETED, [1, 1, 1, 1, 1], 1)
        assert (task.started_at, task.errors) == (started_at, [])
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_continuation_has_a_message_of_its_own() -> None:
    with stand(sample_job(counted(1), in_steps(1))) as it:
        it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        assert [message.send for message in task_messages(it.queue.receive(TASKS_QUEUE))] == [2]


def test_continuations_do_not_hide_failures_nor_the_other_way_round() -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        step: int = context.last_checkpoint or 0
        if step % 2:
            context.checkpoint(step + 1)
            raise OSError(f"step {step}")
        raise ContinueLater(step + 1)

    task = run_to_the_end(handler)
    assert (task.status, task.attempt, task.failures) == (TaskStatus.FAILED, 3, 3)
    assert [(each.attempt, each.message) for each in task.errors] == [(3, "step 5"), (2, "step 3"), (1, "step 1")]


def test_a_task_that_goes_on_without_changing_its_checkpoint_fails() -> None:
    runs: list[int] = []

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        runs.append(context.attempt)
        raise ContinueLater({"waits for": "a file"})

    task = run_to_the_end(handler)
    # The first one changes the checkpoint.
    assert (task.status, len(runs), set(runs)) == (TaskStatus.FAILED, MAX_IDLE_CONTINUATIONS + 2, {1})
    assert task.error is not None
    assert task.error["type"] == "IdleContinuationsError"
    assert task.error["message"].startswith(f"{MAX_IDLE_CONTINUATIONS + 1} runs of this task in a row")


def test_a_checkpoint_that_changes_lets_a_task_go_on_for_as_long_as_it_takes() -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        runs: int = (context.last_checkpoint or 0) + 1
        if runs == 3 * MAX_IDLE_CONTINUATIONS:
            return runs
        context.checkpoint(runs)
        raise ContinueLater(runs)

    task = run_to_the_end(handler)
    assert (task.status, task.result) == (TaskStatus.COMPLETED, 3 * MAX_IDLE_CONTINUATIONS)


@pytest.mark.parametrize(
    ("state", "reason"),
    [(object(), "cannot be written as JSON"), ("\x00", "NUL"), ("x" * 99, "has 101 bytes; at most 100 are accepted")],
    ids=["no JSON", "NUL", "too large"],
)
@pytest.mark.parametrize("way", ["checkpoint", "ContinueLater"])
def test_a_checkpoint_that_cannot_be_stored_fails_the_task_at_once(way: str, state: Any, reason: str) -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        if way == "checkpoint":
            context.checkpoint(state)
        raise ContinueLater(state)

    task = run_to_the_end(handler, max_result_bytes=100)
    assert (task.status, task.attempt) == (TaskStatus.FAILED, 1)
    assert task.error is not None
    assert task.error["type"] == "CheckpointError"
    assert reason in task.error["message"]


def test_a_checkpoint_that_postgresql_refuses_fails_the_task_with_the_reason_alone() -> None:
    def refuse(*_: object) -> bool:
        raise RefusedValueError("value overflows numeric format\nDETAIL: the whole row")

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeTaskRepository, "write_checkpoint", refuse)
            context.checkpoint(1)
        return None

    task = run_to_the_end(handler)
    assert task.error == {
        "type": "CheckpointError",
        "message": "PostgreSQL refuses the checkpoint: value overflows numeric format",
    }


@pytest.mark.parametrize(
    "write",
    [lambda context: context.checkpoint(1), lambda context: context.progress(0.5)],
    ids=["checkpoint", "progress"],
)
def test_a_run_that_has_lost_its_lease_ends_at_its_next_write_and_its_outcome_does_not_count(
    write: Callable[[TaskContext], None],
) -> None:
    raised: list[Exception] = []
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            shell.clock.advance(1_000)
            with shell.database.transaction() as work:
                assert work.tasks.claim([context.task_id], "another worker", 50)
            try:
                write(context)
            except TaskLeaseLostError as exc:
                raised.append(exc)
                raise
            return "zombie"

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.deliver_task_messages()
            task = only_task(it, job_id)
            assert len(raised) == 1
            assert (task.status, task.attempt, task.failures, task.progress) == (TaskStatus.PROCESSING, 2, 0, None)
            assert it.queue.size(JOBS_QUEUE) == 0


def test_a_checkpoint_waits_for_the_database() -> None:
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            shell.database.go_away(20)
            context.checkpoint("after the outage")
            return context.last_checkpoint

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            task = only_task(it, job_id)
            assert (task.status, task.result, task.failures) == (TaskStatus.COMPLETED, "after the outage", 0)


def test_an_outage_that_outlasts_a_lease_spends_no_attempt() -> None:
    outages = iter([60])
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            for seconds in outages:
                shell.database.go_away(seconds)
            context.checkpoint("kept")
            return context.last_checkpoint

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump_through_time()
            task = only_task(it, job_id)
            assert (task.status, task.result) == (TaskStatus.COMPLETED, "kept")
            assert (task.attempt, task.failures, task.errors) == (1, 0, [])


@contextmanager
def shutting_down(it: Stand) -> Iterator[None]:
    with ThreadPoolExecutor(1) as thread:
        drained = thread.submit(it.shutdown.drain, 600, 120)
        wait_until(lambda: it.shutdown.requested)
        yield
        assert drained.result(120)


def test_a_handler_that_is_told_of_a_shutdown_keeps_its_state() -> None:
    begun = threading.Event()

    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        if context.last_checkpoint is not None:
            return context.last_checkpoint
        begun.set()
        wait_until(context.is_cancelled)
        raise ContinueLater("half done")

    with stand(sample_job(counted(1), handler)) as it, ThreadPoolExecutor(1) as thread:
        job_id = it.submit("sample")
        it.deliver_job_messages()

        def invocation() -> None:
            with it.shutdown.at_work():
                it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))

        running = thread.submit(invocation)
        assert begun.wait(120)
        with shutting_down(it):
            running.result(120)
        task = only_task(it, job_id)
        assert (task.status, task.attempt, task.failures) == (TaskStatus.RETRYING, 0, 0)
        with second_process(it, sample_job(counted(1), handler)) as successor:
            successor.pump()
        assert only_task(it, job_id).result == "half done"


def test_an_outage_during_a_shutdown_spends_no_attempt() -> None:
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            def refuse(*_: object) -> bool:
                raise DatabaseUnavailableError("no connection")

            with pytest.MonkeyPatch.context() as patch, shutting_down(there[0]):
                patch.setattr(FakeTaskRepository, "write_checkpoint", refuse)
                context.checkpoint(1)
            return None

        there: list[Stand] = []
        with second_process(shell, sample_job(counted(1), handler)) as it:
            there.append(it)
            job_id = it.submit("sample")
            it.deliver_job_messages()
            it.deliver_task_messages()
            task = only_task(it, job_id)
            assert (task.status, task.attempt, task.failures) == (TaskStatus.RETRYING, 0, 0)


def test_progress_is_written_at_most_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[float, str | None]] = []
    original = FakeTaskRepository.write_progress

    def write(self: FakeTaskRepository, task_id: str, lease_id: str, fraction: float, note: str | None) -> bool:
        written.append((fraction, note))
        return original(self, task_id, lease_id, fraction, note)

    monkeypatch.setattr(FakeTaskRepository, "write_progress", write)
    now = [100.0]
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            for step in range(11):
                context.progress(step / 10, f"step {step}")
                now[0] += PROGRESS_SECONDS / 4
            row = only_task(shell, context.job_id)
            return [row.progress, row.progress_note]

        with second_process(shell, sample_job(counted(1), handler)) as it:
            it.app.worker._runner._handlers._states.clock = lambda: now[0]
            job_id = it.submit("sample")
            it.pump()
            assert written == [(0.0, "step 0"), (0.4, "step 4"), (0.8, "step 8")]
            task = only_task(it, job_id)
            assert task.result == [0.8, "step 8"]
            assert (task.progress, task.progress_note) == (1.0, "step 8")


@pytest.mark.parametrize(
    ("fraction", "shown"), [(0, 0.0), (2.5, 1.0), (-1, 0.0), (float("nan"), 0.0), (float("inf"), 1.0)]
)
def test_progress_is_between_0_and_1(fraction: float, shown: float) -> None:
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            context.progress(fraction)
            row = only_task(shell, context.job_id)
            return [row.progress, row.progress_note]

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            assert only_task(it, job_id).result == [shown, None]


@pytest.mark.parametrize("note", ["a\x00b", "\ud800", "x" * 10_000], ids=["NUL", "surrogate", "long"])
def test_whatever_a_note_says_can_be_stored(note: str) -> None:
    def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        context.progress(0.5, note)
        return None

    stored = run_to_the_end(handler).progress_note
    assert stored is not None
    assert 0 < len(stored) <= run_states.MAX_NOTE
    stored.encode()
    assert "\x00" not in stored


def test_progress_that_cannot_be_written_costs_nothing() -> None:
    with stand() as shell:

        def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
            shell.database.go_away(10)
            context.progress(0.5)
            shell.clock.advance(10)
            return "done"

        with second_process(shell, sample_job(counted(1), handler)) as it:
            job_id = it.submit("sample")
            it.pump()
            task = only_task(it, job_id)
            assert (task.result, task.attempt, task.progress) == ("done", 1, None)


def test_a_task_that_keeps_nothing_costs_no_further_transaction_and_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise AssertionError("written although nothing was kept")

    monkeypatch.setattr(FakeTaskRepository, "write_checkpoint", refuse)
    monkeypatch.setattr(FakeTaskRepository, "write_progress", refuse)
    begun: list[object] = []
    original = FakeDatabase.begin
    with stand(sample_job(counted(100)), lease_seconds=600) as it:  # no lease is renewed meanwhile
        job_id = it.submit("sample")
        it.deliver_job_messages()
        messages = it.queue.receive(TASKS_QUEUE)

        def begin(self: FakeDatabase) -> Any:
            begun.append(self)
            return original(self)

        monkeypatch.setattr(FakeDatabase, "begin", begin)
        it.app.worker.run(TASKS_QUEUE, received(messages))
        assert len(begun) == 2, "the claim and the record"
        assert it.queue.size(TASKS_QUEUE) == 0
        task = it.tasks(job_id)[0]
        assert (task.errors, task.progress, task.progress_note) == ([], None, None)


def test_a_row_names_the_process_that_ran_its_task() -> None:
    with stand(sample_job(counted(1)), instance_id="d0ba7e") as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        assert only_task(it, job_id).worker is None
        it.deliver_task_messages()
        assert only_task(it, job_id).worker == "d0ba7e"


def test_the_signal_survives_pickling_with_its_state() -> None:
    signal = pickle.loads(pickle.dumps(ContinueLater({"row": 1})))
    assert (signal.state, str(signal)) == ({"row": 1}, "the task goes on in another run")
