from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

from typing_extensions import override

from controllers.base import BatchWindow, Tasks
from core.batching import BATCH_SIZE
from core.checkpoints import START, Checkpoint
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import NonDeterministicStageError, NoRoomLeft, SliceEnded
from core.models import PendingBatch, StageKey, StageOpening
from core.retry_parts import RetryPart
from core.statuses import BatchStatus
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.batch_threads import BatchThreads
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.dispatch_room import DispatchRoom
from engine.stages.dispatch_slice import DispatchSlice
from engine.stages.earlier_batches import EarlierBatches
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact

_PAGE = 500
_REOPENED_AT_ONCE = 10

_REMEMBERED = 100
"""How many outcomes are remembered while the batch before them has none: it may wait some tenths of a second for a new
connection to the broker, and the others must not wait for it."""


class DispatchWindow(BatchWindow):
    """The batches of one stage that are in flight.

    It skips batches that an earlier dispatch has queued, and resends batches that are still pending. It has up to
    `dispatch_parallel` batches in flight, and remembers the outcomes of some more, so memory does not grow with the
    size of the stage.

    Attributes:
        key: the stage.
        slice: the time of this slice.
        room: how many tasks may be out.
        yielded: definitions that the controller has yielded in this slice.
        total_tasks: tasks before the checkpoint, and tasks put so far.
        total_batches: the same of batches.
        unsent_batches: batches that the broker did not take.
        idle_slices: how many slices in a row were over before they queued anything, this one included once it is.
    """

    def __init__(
        self,
        database: Database,
        sender: BatchSender,
        limits: Limits,
        shutdown: Shutdown,
        lease: DispatchLease,
    ) -> None:
        self.key: StageKey = lease.key
        self.message_per = limits.message_per
        self.slice = DispatchSlice(lease, limits, shutdown)
        self.room = DispatchRoom(database, lease.key, limits.dispatch_ahead)
        self.yielded = 0
        self.unsent_batches = 0
        self.idle_slices = 0
        self._database = database
        self._sender = sender
        self._limits = limits
        self._lease = lease
        self._threads: BatchThreads | None = None
        self._in_flight: deque[tuple[Future[bool] | None, Checkpoint | None]] = deque()
        self.begin_at(START)

    def begin_at(self, checkpoint: Checkpoint, *, is_new: bool = False) -> None:
        """Sets the point after which batches are put, and whether the stage has never been dispatched before."""
        self._begun_at = checkpoint
        self.total_tasks = checkpoint.tasks
        self.total_batches = checkpoint.batches
        self._earlier = EarlierBatches(self._database, self.key, checkpoint.batches - 1, is_new=is_new)

    @contextmanager
    def open(self) -> Iterator["DispatchWindow"]:
        """Runs the threads during a block, and waits for all batches at its end.

        Raises:
            LockstepError: a batch in flight failed.
        """
        with BatchThreads.open(self._limits.dispatch_parallel) as self._threads:
            try:
                yield self
                self._drain(down_to=0)
            except SliceEnded:
                self._drain(down_to=0)  # the batches in flight are the progress of this slice
                raise
            except BaseException:
                for future, _ in self._in_flight:
                    if future is not None:
                        future.cancel()
                raise

    @override
    def watched(self, definitions: Tasks) -> Iterator[TaskDefinition]:
        for definition in self.slice.watched(definitions):
            self.yielded += 1
            yield definition

    @override
    def put_two_phase(self, batch: AlignedBatch) -> None:
        self._put(batch, self._sender.two_phase)

    @override
    def put_atomic(self, batch: AlignedBatch) -> None:
        self._put(batch, self._sender.atomic)

    def reopen_batches(self, opening: StageOpening, part: RetryPart | None) -> None:
        """Makes the batches of a reopened stage pending again, as many as there is room for, and sends them.

        Args:
            opening: the opening that is dispatched.
            part: which of the failed tasks run again in it, if not all or none.

        Raises:
            NoRoomLeft: there is no room for the others.
            SliceEnded: the time of this slice is over.
            DispatchLeaseLostError: the stage is no longer dispatched here.
        """
        left = self.room.left()
        while left >= BATCH_SIZE:
            most = min(left // BATCH_SIZE, _REOPENED_AT_ONCE)
            reopened = transact(self._database, partial(_reopen, opening, part, most))
            if not reopened:
                break
            self.slice.has_begun = self.slice.progressed = True
            self.slice.keep_time()
            left -= reopened * BATCH_SIZE
            if left < BATCH_SIZE:  # many of these batches may have few tasks to run
                left = self.room.left()
        self.resend_pending()
        if left < BATCH_SIZE:
            raise self._no_room()

    def resend_pending(self, before_index: int | None = None) -> None:
        """Sends the pending batches, or those before a checkpoint, which no replay meets.

        Raises:
            SliceEnded: the time of this slice is over.
            DispatchLeaseLostError: the stage is no longer dispatched here.
        """
        after_index = -1
        while page := self._pending(after_index):
            for batch in page:
                if before_index is not None and batch.batch_index >= before_index:
                    break
                self.slice.keep_time()
                self._start(partial(self._sender.resend, batch.batch_id, batch.lane))
            after_index = page[-1].batch_index
        self._drain(down_to=0)

    def expect_no_more(self) -> None:
        """Checks that the replay yielded every batch of the earlier dispatch.

        Raises:
            NonDeterministicStageError: an earlier dispatch wrote batches that this one did not yield.
        """
        self._earlier.expect_no_more()

    def _pending(self, after_index: int) -> list[PendingBatch]:
        with self._database.transaction() as work:
            return work.batches.pending_of_stage(self.key, after_index, _PAGE)

    def _no_room(self) -> NoRoomLeft:
        return NoRoomLeft(f"stage {self.key.number} of job {self.key.job_id} has no room for more tasks")

    def _require_room(self, task_count: int) -> None:
        """Checks that a new batch may be written.

        Raises:
            NoRoomLeft: too many tasks are out.
        """
        if self.room.is_enough(self.total_tasks + task_count):
            return
        self._drain(down_to=0)
        replayed = self.total_tasks - (self._lease.checkpoint or self._begun_at).tasks
        if not self.room.find(self.total_tasks, task_count, replayed):
            raise self._no_room()

    def _put(self, batch: AlignedBatch, protocol: Callable[[AlignedBatch, str], bool]) -> None:
        self._drain(down_to=self._limits.dispatch_parallel + _REMEMBERED)
        self.slice.keep_time()
        if batch.batch_index == 0 < self.total_batches:
            self.begin_at(START)  # the controller knows no cursors, and replays the whole stage
        if batch.checkpoint is not None:
            _ = batch.checkpoint.encoded_cursor  # a cursor that cannot be stored fails the job at once
        earlier = self._earlier.find(batch.batch_index)
        if earlier is None:
            self._require_room(batch.task_count)
            self._start(partial(protocol, batch, self._lease.lease_id), batch.checkpoint)
        elif earlier.digest != batch.digest:
            raise NonDeterministicStageError(f"batch {batch.batch_id} was queued with other tasks")
        elif earlier.status == BatchStatus.PENDING_QUEUE:
            self._start(partial(self._sender.resend, batch.batch_id, batch.lane), batch.checkpoint)
        elif batch.checkpoint is not None:
            self._in_flight.append((None, batch.checkpoint))  # is reached when the batches before it are written
        self.total_tasks += batch.task_count
        self.total_batches += 1

    def _start(self, action: Callable[[], bool], checkpoint: Checkpoint | None = None) -> None:
        assert self._threads is not None, "put outside open()"
        self._threads.await_turn()
        self._drain(down_to=self._limits.dispatch_parallel + _REMEMBERED)
        self.slice.has_begun = True
        self._in_flight.append((self._threads.start(action), checkpoint))

    @staticmethod
    def _has_ended(future: Future[bool] | None) -> bool:
        return future is None or future.done()

    def _drain(self, down_to: int) -> None:
        """Takes batches that have ended, and waits until no more than `down_to` are in flight.

        It takes them in the order in which they were put: so all batches before a checkpoint are written.
        """
        while self._in_flight and (len(self._in_flight) > down_to or self._has_ended(self._in_flight[0][0])):
            future, checkpoint = self._in_flight.popleft()
            if future is None or future.result():
                self.slice.progressed |= future is not None
            else:
                self.unsent_batches += 1
            if checkpoint is not None:
                self._lease.checkpoint = checkpoint


def _reopen(opening: StageOpening, part: RetryPart | None, limit: int, work: UnitOfWork) -> int:
    if part is not None:
        return work.parts.reopen_batches(opening, part, limit)
    return work.stops.reopen_batches(opening.key, limit)
