import logging
from collections.abc import Callable
from typing import TypeVar

from core.errors import TransactionConflictError
from repositories.ports import Database, UnitOfWork

logger = logging.getLogger(__name__)

_ATTEMPTS = 5

T = TypeVar("T")


def transact(database: Database, action: Callable[[UnitOfWork], T]) -> T:
    """Runs an action in a transaction, and again when it loses a deadlock.

    Locks are taken in order, so a lost deadlock is rare; but it rolls back everything, so that doing it
    again is right, and cheaper than having the broker deliver a hundred messages again.

    Args:
        database: where.
        action: has no effect outside the transaction.

    Raises:
        TransactionConflictError: it lost five times in a row.
        LockstepError: whatever else the action raises, at its first attempt.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with database.transaction() as work:
                return action(work)
        except TransactionConflictError as exc:
            if attempt == _ATTEMPTS:
                raise
            logger.warning("a transaction lost a conflict and is tried again: %s", exc)
    raise AssertionError("unreachable")
