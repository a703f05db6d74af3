"""Threads that work for an invocation log under its id, and belong to its trace.

The Functions host drops log lines that it cannot assign to an invocation, and a thread that the app has started belongs
to none until it says so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from core.telemetry import telemetry

P = ParamSpec("P")
T = TypeVar("T")

_join: ContextVar[Callable[[], None] | None] = ContextVar("join", default=None)


@contextmanager
def invocation(join: Callable[[], None]) -> Iterator[None]:
    """Names the invocation that this thread works for during a block.

    Args:
        join: makes the thread that calls it log under the invocation's id.
    """
    token = _join.set(join)
    try:
        yield
    finally:
        _join.reset(token)


def joined(action: Callable[P, T]) -> Callable[P, T]:
    """Returns an action for another thread, which logs under the invocation of this one and belongs to its trace."""
    action = telemetry().joined(action)
    join = _join.get()
    if join is None:
        return action

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with invocation(join):
            join()
            return action(*args, **kwargs)

    return run
