import pytest

from benchmarks.measure import Measured, Row, rows
from benchmarks.plots import bars, latency_bars


@pytest.fixture
def measured() -> list[Row]:
    runs = {"line": [Measured(seconds=seconds, peak_rss_mib=None) for seconds in (0.1, 0.2, 0.5)]}
    return rows("name", 1, runs, {"line": "line"})


def test_a_bar_is_the_median_and_its_errors_reach_to_the_slowest_and_the_fastest_run(measured: list[Row]) -> None:
    assert bars(measured) == (["line"], [5], [3], [5])


def test_a_bar_of_a_latency_reaches_to_the_shortest_and_the_longest(measured: list[Row]) -> None:
    (line,), (median,), (below,), (above,) = latency_bars(measured)

    assert line == "line"
    assert [median, below, above] == pytest.approx([200, 100, 300])
