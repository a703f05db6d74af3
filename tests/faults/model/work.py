"""Workers, the handlers of the stage's message and a sweeper, on a stage whose dispatch has ended.

Every step is atomic and any may come next. An actor may crash between any two of its steps, a message may be delivered
twice or get lost, and a lease may expire under its holder; the number of the first three is bounded.
"""

from collections.abc import Collection, Iterator
from itertools import combinations, product

from tests.faults.model.checker import Action, Model
from tests.faults.model.promises import INVARIANTS, RULES, is_stopped_for_good
from tests.faults.model.rows import (
    ENDED,
    STAGE_LIVE,
    STAGE_STOPPED,
    STRANGER,
    Batch,
    Job,
    Outcome,
    Rows,
    Stage,
    Task,
    Transactions,
)
from tests.faults.model.states import MOST_COPIES, of_row_steps, of_rows, one_less
from tests.faults.model.work_state import (
    HandlerStep,
    Size,
    State,
    Worker,
    advance_sent,
    after_sends,
    cancel_sent,
    crashed,
    delivered_later,
    dispatch_sent,
    envelope_sent,
    sent,
    with_handler,
    with_worker,
)

Step = tuple[Action, State]


class Work:
    """Builds the model of a size.

    Args:
        size: how much of it.
        without: guards to leave out, see `Transactions`, and sweeps, by the names of their actions.
    """

    def __init__(self, size: Size, without: Collection[str] = ()) -> None:
        self._size = size
        self._without = frozenset(without)
        self._transactions = Transactions(size.max_failed_fraction, without)

    def model(self) -> Model[State]:
        """The model, with the promises about rows."""
        return Model(
            initial=[self._initial()],
            steps=self._steps,
            invariants={name: of_rows(holds) for name, holds in INVARIANTS.items()},
            rules={name: of_row_steps(holds) for name, holds in RULES.items()},
            is_good_end=_is_good_end,
        )

    def _initial(self) -> State:
        batches, first = [], 0
        for count in self._size.batches:
            batches.append(Batch(tuple(range(first, first + count)), "queued", count))
            first += count
        rows = Rows((Task("queued"),) * first, tuple(batches), Stage("running", len(batches)))
        idle: HandlerStep = "idle"
        return State(
            rows=rows,
            tasks=(0 if self._size.enveloped else 1,) * first,
            envelopes=(1 if self._size.enveloped else 0,) * len(batches),
            workers=(Worker(),) * self._size.workers,
            faults=self._size.faults,
            handlers=(idle,) * self._size.handlers,
        )

    def _steps(self, state: State) -> Iterator[Step]:
        for number, worker in enumerate(state.workers):
            if worker.at == "idle":
                # Idle workers are all the same: let the first of them begin.
                if Worker() not in state.workers[:number]:
                    yield from self._claims(state, number)
            else:
                yield from self._worker_steps(state, number, worker)
        for number, step in enumerate(state.handlers):
            if step != "idle":
                yield from self._handler_steps(state, number, step)
            elif "idle" not in state.handlers[:number]:
                yield from self._reads(state, number)
        yield from self._passing_time(state)
        yield from self._sweeps(state)
        yield from self._faults(state)
        yield from self._faults_of_envelopes(state)

    def _claims(self, state: State, number: int) -> Iterator[Step]:
        """The broker delivers some messages; the worker claims their tasks and may release some at once."""
        visible = [index for index, count in enumerate(state.tasks) if count]
        for messages in _subsets(visible):
            if not messages:
                continue
            rows, claimed = self._transactions.claim(state.rows, messages, number)
            rest = tuple(index for index in messages if index not in claimed)
            worker = Worker("run" if claimed else "settle", messages, claimed, (), rest)
            taken = state._replace(rows=rows, tasks=one_less(state.tasks, messages))
            yield Action("claim", (number, messages)), with_worker(taken, number, worker)
        for batch, count in enumerate(state.envelopes):
            if count:
                yield self._claim_batch(state, number, batch)

    def _claim_batch(self, state: State, number: int, batch: int) -> Step:
        """The broker delivers an envelope; the worker claims the tasks of its batch."""
        tasks = state.rows.batches[batch].tasks
        rows, claimed = self._transactions.claim(state.rows, tasks, number)
        rest = tuple(index for index in tasks if index not in claimed)
        worker = Worker("run" if claimed else "settle", tasks, claimed, (), rest, envelope=batch)
        taken = state._replace(rows=rows, envelopes=one_less(state.envelopes, (batch,)))
        return Action("claim_batch", (number, batch)), with_worker(taken, number, worker)

    def _worker_steps(self, state: State, number: int, worker: Worker) -> Iterator[Step]:
        match worker.at:
            case "run" if not worker.running:
                yield self._claim_alone(state, number, worker)
            case "run":
                yield from self._running(state, number, worker)
            case "send":
                yield self._send(state, number, worker)
            case "settle":
                yield Action("settle", (number,)), self._settle(state, number, worker)
            case "complete":
                yield Action("complete", (number,)), with_worker(state, number, Worker())
        if state.faults.crashes:
            yield Action("crash", (number,), is_fault=True), crashed(state, number, worker)

    def _running(self, state: State, number: int, worker: Worker) -> Iterator[Step]:
        renewed = self._transactions.renew(state.rows, worker.running, number)
        if renewed != state.rows:
            yield Action("renew", (number, worker.running)), state._replace(rows=renewed)
        if self._size.may_release and not worker.suspects and worker.running == worker.messages:
            for suspects in _subsets(worker.running):
                if suspects:
                    rows = self._transactions.release(state.rows, suspects, number)
                    kept = tuple(index for index in worker.running if index not in suspects)
                    released = worker._replace(running=kept, suspects=suspects)
                    after = with_worker(state._replace(rows=rows), number, released)
                    yield Action("release", (number, suspects)), after
        for outcomes in product(*(self._outcomes(state.rows.tasks[index]) for index in worker.running)):
            written = tuple(zip(worker.running, outcomes, strict=True))
            recorded = self._transactions.record(state.rows, written, number)
            retries = tuple(index for index, outcome in written if outcome == "retrying" and index in recorded.tasks)
            done = worker._replace(running=(), retries=retries, has_ended_stage=recorded.has_ended_stage)
            done = done._replace(at="send") if retries or recorded.has_ended_stage else after_sends(done)
            yield (
                Action("record", (number, written)),
                with_worker(state._replace(rows=recorded.rows), number, done),
            )

    def _outcomes(self, task: Task) -> list[Outcome]:
        may_retry = task.failures + 1 < self._size.max_attempts
        return [outcome for outcome in self._size.outcomes if outcome != "retrying" or may_retry]

    def _claim_alone(self, state: State, number: int, worker: Worker) -> Step:
        """A suspect by itself, with a lease of its own."""
        index, *others = worker.suspects
        rows, claimed = self._transactions.claim(state.rows, (index,), number)
        rest = worker.rest if claimed else (*worker.rest, index)
        after = worker._replace(running=claimed, suspects=tuple(others), rest=rest)
        if not claimed:
            after = after_sends(after)
        return Action("claim", (number, (index,))), with_worker(state._replace(rows=rows), number, after)

    def _send(self, state: State, number: int, worker: Worker) -> Step:
        """`Recorder.record` after its commit: the retries, then the stage's message."""
        if worker.retries:
            after = worker._replace(retries=())
            after = after if worker.has_ended_stage else after_sends(after)
            return Action("send_retries", (number, worker.retries)), with_worker(
                sent(state, worker.retries), number, after
            )
        after = after_sends(worker._replace(has_ended_stage=False))
        return Action("send_advance", (number,)), with_worker(advance_sent(state), number, after)

    def _settle(self, state: State, number: int, worker: Worker) -> State:
        """Reschedules the messages or the envelope of tasks that are not due; ended ones repeat the stage's message."""
        is_live = state.rows.stage.status in STAGE_LIVE
        live = [index for index in worker.rest if is_live and state.rows.tasks[index].status not in ENDED]
        later = delivered_later(state, worker, live) if live else state
        after = with_worker(later, number, worker._replace(at="complete", rest=()))
        if len(live) < len(worker.rest) and self._transactions.is_unadvanced(state.rows):
            after = advance_sent(after)
        return after

    def _reads(self, state: State, number: int) -> Iterator[Step]:
        """`StageEngine` takes a message of stage 1 and reads the rows."""
        if state.advances:
            taken = state._replace(advances=state.advances - 1)
            yield Action("read", (number,)), with_handler(taken, number, _asked_for(state.rows))
        if state.cancels:
            asked: HandlerStep = "cancel" if state.rows.stage.status in STAGE_STOPPED else "complete"
            taken = state._replace(cancels=state.cancels - 1)
            yield Action("read_cancel", (number,)), with_handler(taken, number, asked)

    def _handler_steps(self, state: State, number: int, step: HandlerStep) -> Iterator[Step]:
        """What the handler does after it has read the rows."""
        rows = state.rows
        match step:
            case "advance":
                advanced = state._replace(rows=self._transactions.advance(rows))
                yield Action("advance", (number,)), with_handler(advanced, number, "send")
            case "fail":
                failed = state._replace(rows=self._transactions.fail_job(rows))
                has_more = failed.rows.job != rows.job and self._transactions.is_stopped_with_tasks_left(failed.rows)
                yield (
                    Action("fail_job", (number,)),
                    with_handler(failed, number, "announce" if has_more else "complete"),
                )
            case "announce":
                yield Action("send_cancel", (number,)), with_handler(cancel_sent(state), number, "complete")
            case "cancel":
                cancelled = self._transactions.cancel_some(rows)
                after = with_handler(state, number, "complete") if cancelled is None else state._replace(rows=cancelled)
                yield Action("cancel_some", (STRANGER, number)), after
            case "send":
                yield Action("send_dispatch", (number,)), with_handler(dispatch_sent(state), number, "complete")
            case "complete":
                yield Action("complete_advance", (number,)), with_handler(state, number, "idle")
        if state.faults.crashes:
            left = with_handler(state, number, "idle")
            left = cancel_sent(left) if step == "cancel" else advance_sent(left)
            fewer = state.faults._replace(crashes=state.faults.crashes - 1)
            yield Action("crash_advance", (number,), is_fault=True), left._replace(faults=fewer)

    def _passing_time(self, state: State) -> Iterator[Step]:
        for index, task in enumerate(state.rows.tasks):
            if task.is_over or task.status not in ("processing", "retrying"):
                continue
            rows = state.rows.with_tasks({index: task._replace(is_over=True)})
            name = "expire" if task.status == "processing" else "come_due"
            if task.holder < 0:
                yield Action(name, (index,)), state._replace(rows=rows)
            elif state.faults.pauses:  # a live holder renews in time unless it is paused
                fewer = state.faults._replace(pauses=state.faults.pauses - 1)
                yield Action(name, (index,), is_fault=True), state._replace(rows=rows, faults=fewer)

    def _sweeps(self, state: State) -> Iterator[Step]:
        """`engine/repair/sweeper.py`: it resends what it finds. It may die before the send."""
        for name, find in (
            ("sweep_lease", self._transactions.sweep_lease),
            ("sweep_retry", self._transactions.sweep_retry),
        ):
            for index in range(len(state.rows.tasks)):
                rows = find(state.rows, index)
                if rows is not None and name not in self._without and not _has_message(state, index):
                    touched = state._replace(rows=rows)
                    yield Action(name, (STRANGER, index)), sent(touched, (index,))
                    if state.faults.crashes and rows != state.rows:
                        fewer = state.faults._replace(crashes=state.faults.crashes - 1)
                        yield Action(name, (STRANGER, index), is_fault=True), touched._replace(faults=fewer)
        silent = self._transactions.silent_tasks(state.rows)
        if silent and "sweep_silence" not in self._without and not any((*state.tasks, *state.envelopes)):
            yield Action("sweep_silence", (STRANGER, silent)), sent(state, silent)
        if self._transactions.is_unadvanced(state.rows) and not state.advances and "sweep_advance" not in self._without:
            yield Action("sweep_advance"), advance_sent(state)
        is_stopped = self._transactions.is_stopped_with_tasks_left(state.rows)
        if is_stopped and not state.cancels and "sweep_stopped" not in self._without:
            yield Action("sweep_stopped"), cancel_sent(state)
        if state.rows.job == Job(stage=2) and "sweep_dispatch" not in self._without:
            yield Action("sweep_dispatch"), dispatch_sent(state)

    def _faults_of_envelopes(self, state: State) -> Iterator[Step]:
        faults = state.faults
        for batch, count in enumerate(state.envelopes):
            if faults.duplicates and 0 < count < MOST_COPIES:
                fewer = faults._replace(duplicates=faults.duplicates - 1)
                yield (
                    Action("duplicate_envelope", (batch,), is_fault=True),
                    envelope_sent(state, batch)._replace(faults=fewer),
                )
            if faults.losses and count:
                fewer = faults._replace(losses=faults.losses - 1)
                envelopes = one_less(state.envelopes, (batch,))
                yield (
                    Action("lose_envelope", (batch,), is_fault=True),
                    state._replace(envelopes=envelopes, faults=fewer),
                )

    def _faults(self, state: State) -> Iterator[Step]:
        faults = state.faults
        for index, count in enumerate(state.tasks):
            if faults.duplicates and count < MOST_COPIES:
                fewer = faults._replace(duplicates=faults.duplicates - 1)
                yield Action("duplicate", (index,), is_fault=True), sent(state, (index,))._replace(faults=fewer)
            if faults.losses and count:
                fewer = faults._replace(losses=faults.losses - 1)
                tasks = one_less(state.tasks, (index,))
                yield Action("lose", (index,), is_fault=True), state._replace(tasks=tasks, faults=fewer)
        if faults.losses and state.advances:
            fewer = faults._replace(losses=faults.losses - 1)
            yield Action("lose_advance", is_fault=True), state._replace(advances=state.advances - 1, faults=fewer)
        if faults.losses and state.dispatches:
            fewer = faults._replace(losses=faults.losses - 1)
            yield Action("lose_dispatch", is_fault=True), state._replace(dispatches=0, faults=fewer)
        if faults.duplicates and state.rows.stage.status == "finished" and state.advances < MOST_COPIES:
            fewer = faults._replace(duplicates=faults.duplicates - 1)
            yield Action("duplicate_advance", is_fault=True), advance_sent(state)._replace(faults=fewer)
        if faults.job_failures and state.rows.job.status == "processing":
            fewer = faults._replace(job_failures=faults.job_failures - 1)
            failed = self._transactions.fail_job(state.rows)
            yield Action("fail_job", (STRANGER,), is_fault=True), state._replace(rows=failed, faults=fewer)
        if faults.cancellations and state.rows.job.status == "processing":
            # If the broker is unavailable for its message, that is no error; the sweeper sends it.
            fewer = faults._replace(cancellations=faults.cancellations - 1)
            cancelled = self._transactions.cancel_job(state.rows)
            yield Action("cancel_job", (STRANGER,), is_fault=True), state._replace(rows=cancelled, faults=fewer)


def _has_message(state: State, index: int) -> bool:
    """Whether the broker has a message of a task, or an envelope of its batch."""
    batches = zip(state.rows.batches, state.envelopes, strict=True)
    return state.tasks[index] > 0 or any(count and index in batch.tasks for batch, count in batches)


def _is_good_end(state: State) -> bool:
    """The job is at its next stage, or has failed or was cancelled and nothing is left of it."""
    return is_stopped_for_good(state.rows) or (state.rows.job.stage == 2 and state.dispatches > 0)


def _asked_for(rows: Rows) -> HandlerStep:
    """The reaction of `StageEngine.handle` to an advance of stage 1 when it reads these rows."""
    if rows.job.status != "processing" or rows.job.stage > 2:
        return "complete"
    if rows.job.stage == 2:
        return "send"  # advanced before, but was the dispatch message sent?
    return "advance" if rows.stage.status == "finished" else "fail" if rows.stage.status == "failed" else "complete"


def _subsets(indexes: Collection[int]) -> Iterator[tuple[int, ...]]:
    for count in range(len(indexes) + 1):
        yield from combinations(indexes, count)
