"""The short form tries each kill with the smallest job, and with one of the larger ones."""

from tests.faults.crash import plan
from tests.faults.crash.matrix import Case
from tests.faults.crash.points import Point


def _case(function: str) -> Case:
    return Case("a scenario", (Point(function, "a place", "commit", "after"),), 1, (), 1.0)


def test_each_kill_is_tried_with_the_smallest_size_and_with_one_other_where_it_is_possible() -> None:
    names = [f"function {number}" for number in range(30)]
    cases = {size: [_case(name) for name in names] for size in (1, 100, 1_000)}
    only_in_large_jobs = _case("another function")
    cases[1_000].append(only_in_large_jobs)

    shared = plan.share(cases)

    assert shared[1] == cases[1]
    assert sorted(map(str, [*shared[100], *shared[1_000]])) == sorted(map(str, cases[1_000]))
    assert only_in_large_jobs in shared[1_000]
    assert min(len(shared[100]), len(shared[1_000])) > 1, "the sizes take turns"
