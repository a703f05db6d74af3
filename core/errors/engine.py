"""Signals and errors inside the engine."""

from core.errors.root import LockstepError


class DispatchInterruptedError(LockstepError):
    """A dispatch stopped before its end; a replay continues it."""

    retryable = waited_out = True


class SliceEnded(LockstepError):  # noqa: N818 - a signal, not an error
    """A dispatch or an aggregation has used up its time slice; another message continues it."""


class NoRoomLeft(SliceEnded):
    """A stage has as many unfinished tasks out as it may have; its dispatch goes on when some of them have ended."""


class JobNotMeantError(LockstepError):
    """A job is no longer one of those that a request about many jobs is about; nothing was done with it."""


class RowsHeldError(SliceEnded):
    """Another transaction holds rows of a job that is being deleted; a later slice tries again."""


class DispatchLeaseLostError(LockstepError):
    """The dispatcher has lost the stage's dispatch lease to another dispatcher, or the stage has ended."""


class AggregationLostError(LockstepError):
    """Another host has aggregated the same results meanwhile, or the stage was reopened."""


class StageReopenedError(LockstepError):
    """The stage was reopened meanwhile, so its earlier end no longer counts."""


class ShutdownError(LockstepError):
    """This process is shutting down and starts nothing more; another process does the work."""

    retryable = waited_out = True


class EngineFaultError(LockstepError):
    """The engine failed in a way that it does not know: a bug. Its code may be mended, so its work is tried again."""

    waited_out = True
