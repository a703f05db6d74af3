from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from typing_extensions import override

from controllers.base import BatchWindow, Tasks
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import ControllerError, JobFailure, LockstepError

T = TypeVar("T")


class ControllerCall:
    """One call of a controller's code, which in turn calls the engine.

    Only what the code itself raises counts against its job. So the engine's parts that the code gets, a window and
    iterators of results, note their errors here, and such an error reaches the engine whatever the code makes of it.
    """

    def __init__(self) -> None:
        self._engines: BaseException | None = None
        self._controllers: BaseException | None = None

    @contextmanager
    def controllers(self) -> Iterator[None]:
        """Runs a controller's code in a block.

        Raises:
            ControllerError: the code raised an error that is neither a `JobFailure` nor retryable.
            Exception: the first error of the engine in this call, even if the code caught it; a failure of the job may
                be put in other words by the code.
        """
        try:
            try:
                yield
            except (Exception, SystemExit) as exc:
                if self._engines is None and not _passes(exc):
                    raise ControllerError(exc) from exc
                if self._engines in (None, exc) or _are_both_failures(self._engines, exc):
                    raise
            if self._engines is not None:
                raise self._engines
        finally:
            self._engines = None  # its traceback holds the frame that holds this call, and open iterators of results

    @contextmanager
    def engines(self) -> Iterator[None]:
        """Runs the engine's code in a block that a controller's code calls."""
        try:
            yield
        except BaseException as exc:
            self._note(exc)
            raise

    def definitions(self, definitions: Iterable[T]) -> Iterator[T]:
        """Yields what the controller yields, to the engine's code, whose own errors these are not."""
        try:
            yield from definitions
        except BaseException as exc:
            self._controllers = exc
            raise

    def results(self, results: Iterable[T]) -> Iterator[T]:
        """Yields what the engine reads for a controller, or passes on to it."""
        iterator = iter(results)
        while True:
            try:  # as `engines()`, without a context manager for each of a million results
                result = next(iterator)
            except StopIteration:
                return
            except BaseException as exc:
                self._note(exc)
                raise
            yield result

    def _note(self, exc: BaseException) -> None:
        if exc is not self._controllers:
            self._engines = self._engines or exc

    def window(self, window: BatchWindow) -> BatchWindow:
        """Returns the engine's window for a controller."""
        return _Window(self, window)


class _Window(BatchWindow):
    def __init__(self, call: ControllerCall, window: BatchWindow) -> None:
        self.message_per = window.message_per
        self._call = call
        self._window = window

    @override
    def watched(self, definitions: Tasks) -> Iterator[TaskDefinition]:
        return self._call.results(self._window.watched(self._call.definitions(definitions)))

    @override
    def put_two_phase(self, batch: AlignedBatch) -> None:
        with self._call.engines():
            self._window.put_two_phase(batch)

    @override
    def put_atomic(self, batch: AlignedBatch) -> None:
        with self._call.engines():
            self._window.put_atomic(batch)


def _passes(exc: BaseException) -> bool:
    return isinstance(exc, LockstepError) and (exc.retryable or isinstance(exc, JobFailure))


def _are_both_failures(engines: BaseException | None, raised: BaseException) -> bool:
    return isinstance(engines, JobFailure) and isinstance(raised, JobFailure)
