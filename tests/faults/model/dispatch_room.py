"""Room in the model of the dispatch: when a stage may have no more tasks written and unfinished."""

import math
from collections.abc import Collection, Iterator

from tests.faults.model.checker import Action
from tests.faults.model.dispatch_rows import DispatchTransactions, is_attended
from tests.faults.model.dispatch_state import Sender, Size, State, dispatch_sent, with_sender
from tests.faults.model.rows import NOBODY, Job, Rows


class Room:
    """Steps of a dispatcher without room, and of the sweep that finds room.

    Args:
        size: its bound.
        transactions: those of the dispatch.
        without: "room of a new batch", "second look at the room", and the names of sweeps, to leave out.
    """

    def __init__(self, size: Size, transactions: DispatchTransactions, without: Collection[str]) -> None:
        self._ahead = size.ahead
        self._transactions = transactions
        self._without = without
        self.low = low_of(size)

    def is_missing(self, rows: Rows, number: int) -> bool:
        """`DispatchRoom.find` before a new batch: whether there is no room for it."""
        is_full = out(rows) > 0 and out(rows) + len(rows.batches[number].tasks) > self._ahead
        return is_full and "room of a new batch" not in self._without

    def find_none(self, state: State, number: int, sender: Sender) -> tuple[Action, State]:
        """The slice ends, and the batches in flight are awaited. If some are unsent, nothing is waited for."""
        after = sender._replace(at="close" if sender.is_unsent else "wait")
        if "second look at the room" in self._without:
            after = after._replace(seen=room_after(state.rows, self.low))
        return Action("find_no_room", (number,)), with_sender(state, number, after)

    def wait(self, state: State, number: int, sender: Sender) -> tuple[Action, State]:
        """`DispatchLease.wait_for_room`; goes on at once if there is room meanwhile."""
        rows = wait_for_room(state.rows, number, self.low, sender.seen)
        action = Action("wait_for_room", (number, self.low))
        if rows is None:
            released = state._replace(rows=self._transactions.release_lease(state.rows, number))
            return action, with_sender(dispatch_sent(released), number, Sender("complete"))
        return action, with_sender(state._replace(rows=rows), number, Sender("complete"))

    def sweep(self, state: State) -> Iterator[tuple[Action, State]]:
        """`Sweeper._with_room`."""
        if "sweep_room" not in self._without and has_room(state.rows, self.low) and not state.dispatches:
            stage = state.rows.stage
            given = stage._replace(room_after=min(stage.room_after, stage.finished_batches))
            yield (
                Action("sweep_room", (self.low,)),
                dispatch_sent(state._replace(rows=state.rows._replace(stage=given))),
            )

    def keeps_bound(self, state: State) -> bool:
        """Promises that no more tasks are out than may be."""
        return out(state.rows) <= max(self._ahead, *(len(batch.tasks) for batch in state.rows.batches))


def low_of(size: Size) -> int:
    """`low_mark`."""
    return max(min(size.ahead // 2, size.ahead - max(size.batches)), 0)


def out(rows: Rows) -> int:
    """stops.sql `live_batches`: tasks that are written and have not ended."""
    return sum(batch.open_tasks for batch in rows.batches if batch.status in ("pending_queue", "queued"))


def room_after(rows: Rows, low: int) -> int:
    """The number of ended batches for which stages.sql `wait_for_room` waits."""
    live = sum(batch.status in ("pending_queue", "queued") for batch in rows.batches)
    return rows.stage.finished_batches + math.ceil(live * (out(rows) - low) / max(out(rows), 1))


def wait_for_room(rows: Rows, dispatcher: int, low: int, seen: int = -1) -> Rows | None:
    """stages.sql `wait_for_room`; None when it does not wait. `seen` replaces what it would find now."""
    stage = rows.stage
    if stage.status != "dispatching" or stage.dispatcher != dispatcher or (out(rows) <= low and seen < 0):
        return None
    after = seen if seen >= 0 else room_after(rows, low)
    return rows._replace(stage=stage._replace(dispatcher=NOBODY, is_lease_over=False, room_after=after))


def has_room(rows: Rows, low: int) -> bool:
    """sweeps.sql `stages_with_room`."""
    stage = rows.stage
    waits = rows.job == Job() and stage.status == "dispatching" and stage.room_after >= 0 and not is_attended(rows)
    return waits and (stage.finished_batches >= stage.room_after or out(rows) <= low)
