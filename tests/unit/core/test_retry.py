import pytest

from core.lanes import Lane
from core.retry import Backoff, TaskPolicy


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8), (8, 256), (9, 300), (100, 300)])
def test_the_wait_doubles_up_to_its_cap(attempt: int, seconds: float) -> None:
    assert Backoff().delay_seconds(attempt, 1.0) == seconds


def test_jitter_spreads_the_wait_from_nothing_to_all_of_it() -> None:
    backoff = Backoff(base_seconds=10)
    assert [backoff.delay_seconds(1, fraction) for fraction in (0.0, 0.25, 1.0)] == [0.0, 2.5, 10.0]


@pytest.mark.parametrize("attempt", [61, 1_025, 10**9])
def test_a_huge_attempt_waits_for_the_cap(attempt: int) -> None:
    assert Backoff(cap_seconds=60).delay_seconds(attempt, 1.0) == 60


def test_a_task_type_that_declares_nothing_gets_three_attempts_in_the_fast_lane() -> None:
    assert (TaskPolicy().max_attempts, TaskPolicy().lane) == (3, Lane.FAST)
