from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tests.faults.model.rows import STRANGER, Outcome, Rows
from tests.faults.model.states import MOST_COPIES, one_more, replaced


class Worker(NamedTuple):
    """One invocation (`engine/tasks/worker.py`).

    Attributes:
        at: what it does next.
        messages: the tasks whose messages it completes at its end.
        running: the tasks that it has claimed and not yet recorded.
        suspects: the tasks that it released, to claim each alone.
        rest: the tasks that it could not claim.
        retries: the retries that it has recorded and not yet sent.
        has_ended_stage: whether it has the stage's message to send.
        envelope: the batch whose envelope carries its messages, -1 if each has its own.
    """

    at: Literal["idle", "run", "send", "settle", "complete"] = "idle"
    messages: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    rest: tuple[int, ...] = ()
    retries: tuple[int, ...] = ()
    has_ended_stage: bool = False
    envelope: int = -1


HandlerStep = Literal["idle", "advance", "fail", "send", "announce", "cancel", "complete"]


class Faults(NamedTuple):
    """How many more faults of each kind there may be."""

    crashes: int = 0
    duplicates: int = 0
    losses: int = 0
    pauses: int = 0
    job_failures: int = 0
    cancellations: int = 0


NO_FAULTS = Faults()


class State(NamedTuple):
    """Rows, messages and actors.

    `tasks`, `envelopes` of each batch, `advances`, `cancels` and `dispatches` count the messages in the broker.
    """

    rows: Rows
    tasks: tuple[int, ...]
    workers: tuple[Worker, ...]
    faults: Faults
    advances: int = 0
    cancels: int = 0
    dispatches: int = 0
    handlers: tuple[HandlerStep, ...] = ("idle",)
    envelopes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Size:
    """One instance of the model.

    Attributes:
        batches: how many tasks each has.
        workers: how many invocations run at once.
        handlers: how many handlers of the stage's message run at once.
        faults: how many there may be in one run.
        outcomes: the possible outcomes of an attempt.
        max_attempts: after so many failures a task is not tried again.
        may_release: whether workers release tasks, as they do with those that were interrupted before.
        max_failed_fraction: what the stage tolerates.
        enveloped: whether each batch was sent in an envelope.
    """

    batches: tuple[int, ...]
    workers: int = 2
    handlers: int = 1
    faults: Faults = NO_FAULTS
    outcomes: tuple[Outcome, ...] = ("completed",)
    max_attempts: int = 2
    may_release: bool = False
    max_failed_fraction: float = 0.0
    enveloped: bool = False


def after_sends(worker: Worker) -> Worker:
    if worker.suspects:
        return worker._replace(at="run")
    return worker._replace(at="settle" if worker.rest else "complete")


def crashed(state: State, number: int, worker: Worker) -> State:
    """Its messages are delivered again, and its leases expire because nobody renews them."""
    left = {
        index: task._replace(holder=STRANGER) for index, task in enumerate(state.rows.tasks) if task.holder == number
    }
    after = delivered_later(state._replace(rows=state.rows.with_tasks(left)), worker, worker.messages)
    fewer = state.faults._replace(crashes=state.faults.crashes - 1)
    return with_worker(after._replace(faults=fewer), number, Worker())


def sent(state: State, indexes: Collection[int]) -> State:
    return state._replace(tasks=one_more(state.tasks, indexes))


def delivered_later(state: State, worker: Worker, indexes: Collection[int]) -> State:
    """The messages of tasks are there again, or the envelope that carries them."""
    return sent(state, indexes) if worker.envelope < 0 else envelope_sent(state, worker.envelope)


def envelope_sent(state: State, batch: int) -> State:
    return state._replace(envelopes=one_more(state.envelopes, (batch,)))


def advance_sent(state: State) -> State:
    return state._replace(advances=min(state.advances + 1, MOST_COPIES))


def cancel_sent(state: State) -> State:
    return state._replace(cancels=1)


def dispatch_sent(state: State) -> State:
    return state._replace(dispatches=1)


def with_worker(state: State, number: int, worker: Worker) -> State:
    return state._replace(workers=replaced(state.workers, number, worker))


def with_handler(state: State, number: int, step: HandlerStep) -> State:
    return state._replace(handlers=replaced(state.handlers, number, step))
