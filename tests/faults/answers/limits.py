"""The application's limits for calls, scaled down so that a trial takes seconds."""

from collections.abc import Mapping

from repositories import pool, postgres, watchdog
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls
from repositories.ports import TransactionKind
from repositories.service_bus import Deadlines
from repositories.transaction_limits import TransactionLimits

_CHECK_SECONDS = 0.5
_MARGIN_SECONDS = 0.3
_TICK_SECONDS = 0.05

DATABASE: Mapping[TransactionKind, TransactionLimits] = dict.fromkeys(
    TransactionKind, TransactionLimits(lock_seconds=0.5, statement_seconds=0.8, idle_seconds=1.2)
)
"""As in production, a lock is waited for shorter than a statement, and a statement shorter than a pause."""
DEADLINES = Deadlines(send_seconds=1.5, ping_seconds=0.8, close_seconds=0.5)


def calls() -> BrokerCalls:
    """Calls to the broker that are soon tried again."""
    return BrokerCalls(Breaker(pause_seconds=0.5), cut_every_seconds=0.2)


def hurry() -> None:
    """From now on, this process waits that long for PostgreSQL beyond the limits that PostgreSQL has itself."""
    vars(postgres).update(_MARGIN_SECONDS=_MARGIN_SECONDS, CHECK_SECONDS=_CHECK_SECONDS)
    vars(pool).update(CHECK_SECONDS=_CHECK_SECONDS)
    vars(watchdog).update(_TICK_SECONDS=_TICK_SECONDS)
