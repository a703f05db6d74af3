"""The two ways into a transaction.

`transact` is for what writes: it takes locks, may lose a deadlock, and is then repeated. `database.transaction()` is
for what only reads, and for the two transactions that send a message inside: these are not repeated, because a send
cannot be rolled back. `tests/unit/test_layers.py` holds the rule.
"""

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

    Locks are taken in order, so a lost deadlock is rare. To repeat it here is cheaper than to have the broker deliver a
    hundred messages again.

    Args:
        database: where the transaction is opened.
        action: must have no effect outside the transaction.

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
            logger.warning("a transaction lost a conflict and is repeated: %s", exc)
    raise AssertionError("unreachable")
