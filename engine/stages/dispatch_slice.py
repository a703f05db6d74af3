import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from core.errors import DispatchLeaseLostError, SliceEnded
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.dispatch_lease import DispatchLease

T = TypeVar("T")


class DispatchSlice:
    """The time of one slice of a dispatch, and whether the slice has queued anything.

    The time includes the replay of what earlier slices have queued: otherwise a long replay and the new batches would
    together outlast `functionTimeout`.

    Attributes:
        has_begun: whether a batch was written, sent or reopened. Until then, the slice lasts a minute at least, however
            short slices are.
        progressed: whether the broker has taken a batch, or a batch was reopened.
        is_over: whether the slice ended because its time was over.
    """

    def __init__(self, lease: DispatchLease, limits: Limits, shutdown: Shutdown) -> None:
        self.has_begun = False
        self.progressed = False
        self.is_over = False
        self._lease = lease
        self._shutdown = shutdown
        now = time.monotonic()
        self._ends_at = now + limits.dispatch_slice_seconds
        self._ends_idle_at = now + limits.idle_slice_seconds
        self._renew_at = now + lease.seconds / 3

    def idle_slices(self, before: int, unsent_batches: int) -> int:
        """Returns how many slices in a row were over before they queued anything, now that this one has ended.

        A slice that the shutdown ended does not count, nor does one in which the broker refused batches.

        Args:
            before: how many, without this one.
            unsent_batches: those that the broker refused in this one.
        """
        if self.progressed:
            return 0
        return before + 1 if self.is_over and not unsent_batches else before

    def watched(self, items: Iterable[T]) -> Iterator[T]:
        """Yields the items, and keeps time before each of them.

        Raises:
            SliceEnded: the time of this slice is over.
            DispatchLeaseLostError: the stage is no longer dispatched here.
        """
        for item in items:
            self.keep_time()
            yield item

    def keep_time(self) -> None:
        """Ends the slice when its time is over; renews the lease every third of its length.

        Raises:
            SliceEnded: the time of this slice is over, or the process shuts down.
            DispatchLeaseLostError: the stage is no longer dispatched here.
        """
        key = self._lease.key
        now = time.monotonic()
        if self._shutdown.requested or now >= (self._ends_at if self.has_begun else self._ends_idle_at):
            self.is_over = not self._shutdown.requested
            raise SliceEnded(f"stage {key.number} of job {key.job_id} goes on in another slice")
        if now >= self._renew_at:
            self._renew_at = now + self._lease.seconds / 3
            if not self._lease.renew():
                raise DispatchLeaseLostError(f"stage {key.number} of job {key.job_id} was taken over")
