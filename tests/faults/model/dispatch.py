"""Dispatchers, a sweeper and workers on a stage that is being dispatched: rows and messages in lockstep.

To keep the model small, workers do not crash here and run one batch after the other; `work.py` has the rest.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from tests.faults.model.checker import Action, Model
from tests.faults.model.dispatch_room import Room
from tests.faults.model.dispatch_rows import DispatchTransactions, plan
from tests.faults.model.dispatch_state import (
    SWEEPER,
    Sender,
    Size,
    State,
    crashed,
    dispatch_sent,
    following,
    next_batch,
    sent,
    with_sender,
    with_worker,
)
from tests.faults.model.promises import INVARIANTS, RULES, is_stopped_for_good
from tests.faults.model.rows import ENDED, FIRST, STAGE_LIVE, STRANGER, Batch, Outcome, Rows, Stage, Task
from tests.faults.model.states import of_row_steps, of_rows, one_less

Step = tuple[Action, State]


class Dispatch:
    """Builds the model of a size.

    Args:
        size: how much of it.
        without: guards to leave out, see `DispatchTransactions`, and sweeps, by the names of their actions.
    """

    def __init__(self, size: Size, without: Collection[str] = ()) -> None:
        self._size = size
        self._without = frozenset(without)
        self._transactions = DispatchTransactions(without=without)
        self._room = Room(size, self._transactions, self._without)

    def model(self) -> Model[State]:
        """The model, with the promises about rows and those about messages."""
        return Model(
            initial=[self._initial()],
            steps=self._steps,
            invariants={
                **{name: of_rows(holds) for name, holds in INVARIANTS.items()},
                **_INVARIANTS,
                "no more tasks are out than may be": self._room.keeps_bound,
            },
            rules={**{name: of_row_steps(holds) for name, holds in RULES.items()}, **_RULES},
            is_good_end=_is_good_end,
        )

    def _initial(self) -> State:
        batches, first = [], 0
        for count in self._size.batches:
            tasks = tuple(range(first, first + count))
            batches.append(Batch(tasks, "absent", count, enveloped=self._size.enveloped))
            first += count
        return State(
            rows=Rows((Task("absent"),) * first, tuple(batches), Stage("dispatching")),
            tasks=(0,) * first,
            sent=(False,) * len(batches),
            senders=(Sender(),) * (self._size.dispatchers + 1),
            workers=(None,) * self._size.workers,
            faults=self._size.faults,
        )

    def _steps(self, state: State) -> Iterator[Step]:
        *dispatchers, sweeper = state.senders
        for number, sender in enumerate(dispatchers):
            if sender.at != "idle":
                yield from self._sending(state, number, sender)
            elif state.dispatches and Sender() not in dispatchers[:number]:
                yield self._begin(state, number)
        if sweeper.at != "idle":
            yield from self._sending(state, SWEEPER, sweeper)
        yield from self._sweeps(state, sweeper)
        for number, running in enumerate(state.workers):
            yield from self._worker_steps(state, number, running)
        yield from self._stopping(state)
        yield from self._passing_time(state)
        yield from self._faults(state)

    def _begin(self, state: State, number: int) -> Step:
        """`StageEngine` with a dispatch message: takes the lease and reads the batches."""
        action = Action("begin_dispatch", (number,))
        taken = state._replace(dispatches=state.dispatches - 1)
        stage = state.rows.stage
        if stage.status in ("finished", "failed") and state.rows.job.status == "processing":
            return action, with_sender(taken, number, Sender("send_advance"))
        is_asked = stage.status == "dispatching" and state.rows.job.status == "processing"
        if not is_asked or self._transactions.is_waiting(state.rows):
            return action, with_sender(taken, number, Sender("complete"))
        rows = self._transactions.acquire_lease(state.rows, number)
        if rows is None:
            return action, state  # the message is rescheduled to the end of the lease
        return action, with_sender(taken._replace(rows=rows), number, following(Sender(plan=plan(rows))))

    def _sending(self, state: State, number: int, sender: Sender) -> Iterator[Step]:
        match sender.at:
            case "begin":
                yield self._begin_batch(state, number, sender)
            case "send":
                yield from self._send(state, number, sender)
            case "mark":
                batch = sender.plan[0][0]
                marked = state._replace(rows=self._transactions.mark_queued(state.rows, batch, sender.send))
                is_unsent = sender.is_unsent or marked.rows.batches[batch].status == "pending_queue"
                after = next_batch(sender._replace(is_unsent=is_unsent))
                yield Action("mark_queued", (number, batch, sender.send)), with_sender(marked, number, after)
            case "close" if number == SWEEPER:
                yield Action("end_sweep", (number,)), with_sender(state, number, Sender())
            case "close" | "wait":
                yield self._close(state, number, sender)
            case "send_advance":
                told = state._replace(advances=1)
                yield Action("send_advance", (number,)), with_sender(told, number, Sender("complete"))
            case "complete":
                yield Action("complete", (number,)), with_sender(state, number, Sender())
        if number != SWEEPER and sender.at == "begin":
            yield from self._renew(state, number)
        if state.faults.crashes:
            yield Action("crash", (number,), is_fault=True), crashed(state, number)

    def _begin_batch(self, state: State, number: int, sender: Sender) -> Step:
        batch, status = sender.plan[0]
        if status == "absent" and self._room.is_missing(state.rows, batch):
            return self._room.find_none(state, number, sender)
        if status == "absent":
            action = Action("create", (number, batch))
            rows = self._transactions.create(state.rows, batch, number)
            if rows is None:
                return action, with_sender(state, number, Sender("complete"))
            tasks, send = rows.batches[batch].tasks, FIRST
        else:
            action = Action("begin_resend", (number, batch))
            begun = self._transactions.begin_resend(state.rows, batch, number)
            if begun is None:
                return action, with_sender(state, number, next_batch(sender))
            (rows, tasks), send = begun, number
        after = sender._replace(at="send", tasks=tasks, send=send)
        return action, with_sender(state._replace(rows=rows), number, after)

    def _send(self, state: State, number: int, sender: Sender) -> Iterator[Step]:
        batch = sender.plan[0][0]
        taken = sent(state, sender.tasks)
        # Without tasks nothing is resent: all of the batch's messages have arrived before.
        taken = taken._replace(sent=tuple(was or index == batch for index, was in enumerate(state.sent)))
        yield Action("send", (number, batch)), with_sender(taken, number, sender._replace(at="mark", tasks=()))
        if state.faults.refusals:
            refused = next_batch(sender._replace(is_unsent=True))
            fewer = state.faults._replace(refusals=state.faults.refusals - 1)
            yield (
                Action("refuse", (number, batch), is_fault=True),
                with_sender(state._replace(faults=fewer), number, refused),
            )

    def _close(self, state: State, number: int, sender: Sender) -> Step:
        if sender.at == "wait":
            return self._room.wait(state, number, sender)
        if sender.is_unsent:
            rows = self._transactions.release_lease(state.rows, number)
            later = dispatch_sent(state._replace(rows=rows))
            return Action("resume_later", (number,)), with_sender(later, number, Sender("complete"))
        rows = self._transactions.finish_dispatch(state.rows, number)
        has_ended = rows.stage.status in ("finished", "failed") and rows != state.rows
        after = Sender("send_advance" if has_ended else "complete")
        return Action("finish_dispatch", (number,)), with_sender(state._replace(rows=rows), number, after)

    def _renew(self, state: State, number: int) -> Iterator[Step]:
        rows = self._transactions.renew_lease(state.rows, number)
        if rows is None:
            yield Action("stop", (number,)), with_sender(state, number, Sender("complete"))
        elif rows != state.rows:
            yield Action("renew", (number,)), state._replace(rows=rows)

    def _sweeps(self, state: State, sweeper: Sender) -> Iterator[Step]:
        if sweeper.at == "idle" and "sweep_batch" not in self._without:
            for batch in self._transactions.pending_batches(state.rows):
                found = Sender("begin", ((batch, "pending_queue"),))
                yield Action("sweep_batch", (SWEEPER, batch)), with_sender(state, SWEEPER, found)
        is_interrupted = self._transactions.is_interrupted(state.rows) and not state.dispatches
        if is_interrupted and "sweep_dispatch" not in self._without:
            yield Action("sweep_dispatch"), dispatch_sent(state)
        yield from self._room.sweep(state)
        silent = self._transactions.silent_tasks(state.rows)
        is_left_out = (
            state.rows.stage.status == "dispatching" and "sweep_silence of a stage that waits" in self._without
        )
        if silent and not any(state.tasks) and not is_left_out:
            yield Action("sweep_silence", (STRANGER, silent)), sent(state, silent)
        if self._transactions.is_unadvanced(state.rows) and not state.advances:
            yield Action("sweep_advance"), state._replace(advances=1)

    def _worker_steps(self, state: State, number: int, running: int | None) -> Iterator[Step]:
        """`Recorder.record` sends the stage's message at once here; `work.py` has the case that it does not."""
        if running is not None:
            yield Action("record", (number, running)), self._recorded(state, number, (running, "completed"))
            if state.faults.failures:
                fewer = state._replace(faults=state.faults._replace(failures=state.faults.failures - 1))
                failed = self._recorded(fewer, number, (running, "failed"))
                yield Action("record", (number, running), is_fault=True), failed
            return
        for index, count in enumerate(state.tasks):
            if count:
                rows, claimed = self._transactions.claim(state.rows, (index,), number)
                tasks = one_less(state.tasks, (index,))
                after = with_worker(state._replace(rows=rows, tasks=tasks), number, index if claimed else None)
                if not claimed and state.rows.tasks[index].status not in ENDED:
                    after = state  # the message is rescheduled
                yield Action("claim", (number, index)), after

    def _recorded(self, state: State, number: int, outcome: tuple[int, Outcome]) -> State:
        recorded = self._transactions.record(state.rows, [outcome], number)
        advances = 1 if recorded.has_ended_stage else state.advances
        after = with_worker(state._replace(rows=recorded.rows, advances=advances), number, None)
        return dispatch_sent(after) if recorded.has_room else after

    def _stopping(self, state: State) -> Iterator[Step]:
        """What the handlers of sb-jobs do with a stopped stage; `work.py` has it step by step."""
        if state.rows.stage.status == "failed" and state.advances and state.rows.job.status == "processing":
            yield Action("fail_job", (STRANGER,)), state._replace(rows=self._transactions.fail_job(state.rows))
        cancelled = self._transactions.cancel_some(state.rows)
        if cancelled is not None:
            yield Action("cancel_some", (STRANGER,)), state._replace(rows=cancelled)

    def _passing_time(self, state: State) -> Iterator[Step]:
        stage = state.rows.stage
        if stage.dispatcher == -1 or stage.is_lease_over:
            return
        expired = state._replace(rows=state.rows._replace(stage=stage._replace(is_lease_over=True)))
        if stage.dispatcher == STRANGER:
            yield Action("expire_dispatch"), expired
        elif state.faults.pauses:
            fewer = state.faults._replace(pauses=state.faults.pauses - 1)
            yield Action("expire_dispatch", is_fault=True), expired._replace(faults=fewer)

    def _faults(self, state: State) -> Iterator[Step]:
        faults = state.faults
        if faults.losses:
            fewer = state._replace(faults=faults._replace(losses=faults.losses - 1))
            for index, count in enumerate(state.tasks):
                if count:
                    tasks = one_less(state.tasks, (index,))
                    yield Action("lose", (index,), is_fault=True), fewer._replace(tasks=tasks)
            if state.dispatches:
                yield (
                    Action("lose_dispatch", is_fault=True),
                    fewer._replace(dispatches=state.dispatches - 1),
                )
            if state.advances:
                yield Action("lose_advance", is_fault=True), fewer._replace(advances=0)
        if faults.cancellations and state.rows.job.status == "processing":
            cancelled = state._replace(rows=self._transactions.cancel_job(state.rows))
            fewer = cancelled._replace(faults=faults._replace(cancellations=faults.cancellations - 1))
            yield Action("cancel_job", (STRANGER,), is_fault=True), fewer


def _is_good_end(state: State) -> bool:
    """The stage's message is there, or the job has failed or was cancelled and nothing is left of it."""
    has_finished = state.rows.stage.status == "finished" and state.advances > 0
    return has_finished or is_stopped_for_good(state.rows)


def _no_message_is_without_its_row(state: State) -> bool:
    return all(task.status != "absent" for task, count in zip(state.rows.tasks, state.tasks, strict=True) if count)


def _what_is_queued_was_sent(state: State) -> bool:
    return all(
        was_sent
        for batch, was_sent in zip(state.rows.batches, state.sent, strict=True)
        if batch.status in ("queued", "finished")
    )


def _a_running_stage_is_all_sent(state: State) -> bool:
    """A batch may be pending nevertheless: another sender has begun to resend it."""
    return state.rows.stage.status not in ("running", "finished") or all(state.sent)


_INVARIANTS: Mapping[str, Callable[[State], bool]] = {
    "no message is without its row": _no_message_is_without_its_row,
    "what is queued was sent": _what_is_queued_was_sent,
    "a running stage is all sent": _a_running_stage_is_all_sent,
}


def _only_its_holder_touches_a_live_dispatch_lease(before: State, action: Action, after: State) -> bool:
    old, new = before.rows.stage, after.rows.stage
    if old.dispatcher < 0 or old.is_lease_over or old.dispatcher == new.dispatcher or new.status not in STAGE_LIVE:
        return True
    return action.who[:1] == (old.dispatcher,)


def _a_dispatcher_has_read_every_earlier_batch(before: State, action: Action, after: State) -> bool:
    """It compares the batches that it has read with its own; a batch that it meets later may have other tasks."""
    if action.name != "create":
        return True
    dispatcher, batch = action.who
    is_new: bool = before.rows.batches[batch].status == "absent"
    return is_new or after.senders[dispatcher].at == "complete"


_RULES: Mapping[str, Callable[[State, Action, State], bool]] = {
    "only its holder touches a live dispatch lease": _only_its_holder_touches_a_live_dispatch_lease,
    "a dispatcher has read every earlier batch": _a_dispatcher_has_read_every_earlier_batch,
}
