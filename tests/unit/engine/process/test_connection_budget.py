import pytest

from engine.process.connection_budget import ConnectionBudget


def refuse() -> int:
    raise AssertionError("nobody needs to ask")


def test_without_a_number_of_instances_nothing_is_asked_or_said() -> None:
    assert ConnectionBudget(instances=None, processes=1, pool_size=16, allowed=refuse).shortage() is None


_SHORT = (
    "20 instances may open 640 connections (2 * 16 each) and PostgreSQL takes 639: lower DATABASE_POOL_SIZE or "
    "the number of instances, or connect through PgBouncer"
)


@pytest.mark.parametrize(("allowed", "shortage"), [(640, None), (639, _SHORT)])
def test_connections_are_short_when_all_instances_may_open_more_than_there_are(
    allowed: int, shortage: str | None
) -> None:
    budget = ConnectionBudget(instances=20, processes=2, pool_size=16, allowed=lambda: allowed)
    assert budget.shortage() == shortage
