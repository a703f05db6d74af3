from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tests.faults.model.rows import FIRST, STRANGER, BatchStatus, Rows
from tests.faults.model.states import MOST_COPIES, one_more, replaced

SWEEPER = -1
"""Its place in `State.senders` is the last."""


class Sender(NamedTuple):
    """A dispatcher (`stage_dispatcher.py`, `dispatch_window.py`, `batch_sender.py` in `engine/stages`), or the sweeper.

    Attributes:
        at: what it does next.
        plan: the batches that are left, the current one first, and the status in which they were found.
        tasks: those of the current batch that it sends.
        send: which send of the batch this is, see `Batch.last_send`.
        is_unsent: whether a batch stayed pending, because the broker refused it or another sender resends it.
        seen: what it has found when there was no room, if it does not look again.
    """

    at: Literal["idle", "begin", "send", "mark", "wait", "close", "send_advance", "complete"] = "idle"
    plan: tuple[tuple[int, BatchStatus], ...] = ()
    tasks: tuple[int, ...] = ()
    send: int = FIRST
    is_unsent: bool = False
    seen: int = -1


class Faults(NamedTuple):
    """How many more faults of each kind there may be."""

    crashes: int = 0
    losses: int = 0
    pauses: int = 0
    refusals: int = 0
    failures: int = 0
    cancellations: int = 0


NO_FAULTS = Faults()


class State(NamedTuple):
    """Rows, messages and actors.

    `tasks`, `dispatches` and `advances` count the messages in the broker, `sent` tells which batches the broker has
    ever taken, `workers` which task each of them runs.
    """

    rows: Rows
    tasks: tuple[int, ...]
    sent: tuple[bool, ...]
    senders: tuple[Sender, ...]
    workers: tuple[int | None, ...]
    faults: Faults
    dispatches: int = 1
    advances: int = 0


@dataclass(frozen=True)
class Size:
    """One instance of the model: how many tasks each batch has, and how many actors and faults there are.

    `ahead` is the number of tasks that may be written and unfinished. A batch that is `enveloped` has a message for
    each of its tasks here: workers may claim them apart, which is more than an envelope lets them do.
    """

    batches: tuple[int, ...]
    dispatchers: int = 2
    workers: int = 1
    faults: Faults = NO_FAULTS
    ahead: int = 1_000
    enveloped: bool = False


def following(sender: Sender) -> Sender:
    return sender._replace(at="begin" if sender.plan else "close")


def next_batch(sender: Sender) -> Sender:
    return following(sender._replace(plan=sender.plan[1:], tasks=(), send=FIRST))


def crashed(state: State, number: int) -> State:
    fewer = state._replace(faults=state.faults._replace(crashes=state.faults.crashes - 1))
    after = with_sender(fewer, number, Sender())
    if number == SWEEPER:
        return after
    if state.rows.stage.dispatcher == number:
        stage = state.rows.stage._replace(dispatcher=STRANGER)
        after = after._replace(rows=state.rows._replace(stage=stage))
    return dispatch_sent(after)


def sent(state: State, indexes: Collection[int]) -> State:
    return state._replace(tasks=one_more(state.tasks, indexes))


def dispatch_sent(state: State) -> State:
    return state._replace(dispatches=min(state.dispatches + 1, MOST_COPIES))


def with_sender(state: State, number: int, sender: Sender) -> State:
    senders = list(state.senders)
    senders[number] = sender
    return state._replace(senders=tuple(senders))


def with_worker(state: State, number: int, running: int | None) -> State:
    return state._replace(workers=replaced(state.workers, number, running))
