from collections.abc import Iterable

from tests.faults.model.rows import NOBODY, BatchStatus, Job, Rows, Task, Transactions


class DispatchTransactions(Transactions):
    """The transactions of a dispatch by the two-phase protocol."""

    def acquire_lease(self, rows: Rows, dispatcher: int) -> Rows | None:
        """stages.sql `acquire_dispatch_lease`; None when it cannot be acquired."""
        stage = rows.stage
        is_free = stage.dispatcher == NOBODY or stage.is_lease_over
        if stage.status != "dispatching" or not self.holds("holder of a dispatch lease", condition=is_free):
            return None
        return rows._replace(stage=stage._replace(dispatcher=dispatcher, is_lease_over=False, room_after=-1))

    def renew_lease(self, rows: Rows, dispatcher: int) -> Rows | None:
        """stages.sql `renew_dispatch_lease`; None when it is lost."""
        stage = rows.stage
        if stage.status != "dispatching" or stage.dispatcher != dispatcher:
            return None
        return rows._replace(stage=stage._replace(is_lease_over=False))

    def release_lease(self, rows: Rows, dispatcher: int) -> Rows:
        """stages.sql `release_dispatch_lease`."""
        if rows.stage.dispatcher != dispatcher:
            return rows
        return rows._replace(stage=rows.stage._replace(dispatcher=NOBODY, is_lease_over=False))

    def create(self, rows: Rows, number: int, dispatcher: int) -> Rows | None:
        """tasks.sql `batch_create_tasks`; None when the lease is lost."""
        batch, stage = rows.batches[number], rows.stage
        has_lease = stage.status == "dispatching" and stage.dispatcher == dispatcher
        if not self.holds("lease of a new batch", condition=has_lease):
            return None
        if batch.status != "absent":
            return rows
        created = rows.with_tasks(dict.fromkeys(batch.tasks, Task("pending_queue")))
        return created.with_batch(number, batch._replace(status="pending_queue"))

    def begin_resend(self, rows: Rows, number: int, sender: int) -> tuple[Rows, tuple[int, ...]] | None:
        """tasks.sql and batches.sql `begin_resend`: with the tasks to send; None when the batch is not pending."""
        batch = rows.batches[number]
        if batch.status != "pending_queue":
            return None
        pending = tuple(index for index in batch.tasks if rows.tasks[index].status == "pending_queue")
        return rows.with_batch(number, batch._replace(last_send=sender)), pending

    def mark_queued(self, rows: Rows, number: int, send: int) -> Rows:
        """One transaction: tasks.sql `batch_update_status`, if there is no envelope, batches.sql `mark_queued`."""
        batch = rows.batches[number]
        if batch.last_send != send:
            return rows
        moved = [
            index
            for index in (() if batch.enveloped else batch.tasks)
            if self.holds("status of a task that is marked", condition=rows.tasks[index].status == "pending_queue")
        ]
        rows = rows.with_tasks({index: Task("queued", failures=rows.tasks[index].failures) for index in moved})
        is_pending = batch.status == "pending_queue"
        if not self.holds("status of a batch that is marked", condition=is_pending):
            return rows
        return rows.with_batch(number, batch._replace(status="queued"))

    def finish_dispatch(self, rows: Rows, dispatcher: int) -> Rows:
        """One transaction: stages.sql `finish_dispatch`, `finish_if_complete`."""
        stage = rows.stage
        is_mine = self.holds("lease of a dispatch that ends", condition=stage.dispatcher == dispatcher)
        is_dispatching = self.holds("status of a dispatch that ends", condition=stage.status == "dispatching")
        if not is_mine or not is_dispatching:
            return rows
        running = stage._replace(
            status="running", total_batches=len(rows.batches), dispatcher=NOBODY, is_lease_over=False
        )
        return self.finish_if_complete(rows._replace(stage=running))

    def pending_batches(self, rows: Rows) -> Iterable[int]:
        """sweeps.sql `pending_batches`."""
        if rows.job.status != "processing" or is_attended(rows):
            return
        for number, batch in enumerate(rows.batches):
            if batch.status == "pending_queue":
                yield number

    def is_interrupted(self, rows: Rows) -> bool:
        """sweeps.sql `interrupted_dispatches`."""
        is_dispatching = rows.job == Job() and rows.stage.status == "dispatching"
        return is_dispatching and rows.stage.room_after < 0 and not is_attended(rows)


def plan(rows: Rows) -> tuple[tuple[int, BatchStatus], ...]:
    """batches.sql `page`: the batches of earlier dispatches that a replay reads, without those that it skips."""
    return tuple(
        (number, batch.status)
        for number, batch in enumerate(rows.batches)
        if batch.status in ("absent", "pending_queue")
    )


def is_attended(rows: Rows) -> bool:
    return rows.stage.dispatcher != NOBODY and not rows.stage.is_lease_over
