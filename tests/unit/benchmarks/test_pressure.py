import pytest

from benchmarks.pressure import LINES, Round, rows_of
from benchmarks.pressure_load import Drained


def drained(seconds: float) -> Drained:
    return Drained(100, seconds, 2 * seconds, dispatch_wal_bytes=600, drain_wal_bytes=400)


def rounds(steady: list[float]) -> list[Round]:
    """The machine takes a second; held takes twice as long, and the steady load what is given."""
    return [
        {"empty": drained(1), "held": drained(2), "backlog": drained(1), "steady": drained(seconds)}
        for seconds in steady
    ]


FIGURES = {"empty": {}, "held": {"dead tasks": 7.0}, "backlog": {}, "steady": {}}


def test_the_rows_are_those_of_the_last_rounds_and_the_first_of_the_steady_load() -> None:
    found = {row["line"]: row for row in rows_of(rounds([1, 2, 3, 4, 5, 6]), 2, FIGURES)}

    assert tuple(found) == LINES
    assert found["steady"]["rates"] == [100 / 5, 100 / 6]
    assert found["first_minute"]["rates"] == [100, 50]
    assert (found["held"]["ratio"], found["held"]["reference"], found["held"]["runs"]) == (0.5, "empty", 2)
    assert found["held"]["figures"]["dead tasks"] == 7


def test_the_worker_is_compared_with_the_worker_on_an_empty_table() -> None:
    found = {row["line"]: row for row in rows_of(rounds([1, 1, 1]), 1, FIGURES)}

    assert found["held_worker"]["tasks_per_second"] == pytest.approx(25)
    assert (found["held_worker"]["ratio"], found["held_worker"]["reference"]) == (0.5, "empty_worker")
    assert {row["figures"]["WAL of drain, bytes"] for row in found.values()} == {400}
