import pytest

from benchmarks.measure import Measured, reached_by, rows


def run(seconds: float, peak_rss_mib: float | None = None) -> Measured:
    return Measured(seconds=seconds, peak_rss_mib=peak_rss_mib)


def test_a_row_has_the_median_rate_of_its_runs_and_their_bounds() -> None:
    (row,) = rows("dispatch", 100, {"sdk_loop": [run(1), run(4), run(2)]}, {"sdk_loop": "sdk_loop"})

    assert (row["benchmark"], row["line"], row["tasks"], row["runs"]) == ("dispatch", "sdk_loop", 100, 3)
    assert (row["tasks_per_second"], row["slowest"], row["fastest"], row["ratio"]) == (50, 25, 100, 1)


def test_the_ratio_is_the_median_of_the_ratios_of_the_rounds_and_not_the_ratio_of_the_medians() -> None:
    # The machine gets slower from round to round; in two of three rounds, the line is twice as fast as its reference.
    runs = {"reference": [run(1), run(2), run(4)], "line": [run(2), run(1), run(2)]}

    reference, line = rows("dispatch", 100, runs, dict.fromkeys(runs, "reference"))

    assert (line["ratio"], reference["ratio"]) == (2, 1)
    assert line["tasks_per_second"] == reference["tasks_per_second"]


def test_each_line_may_have_a_reference_of_its_own() -> None:
    runs = {"one": [run(1)], "many": [run(8)], "twice_one": [run(0.5)], "twice_many": [run(4)]}
    references = {"one": "one", "many": "many", "twice_one": "one", "twice_many": "many"}

    assert [row["ratio"] for row in rows("latency", 1, runs, references)] == [1, 1, 2, 2]


def test_a_line_that_chooses_its_number_of_tasks_is_compared_by_tasks_per_second() -> None:
    runs = {"all": [run(2)], "tenth": [Measured(seconds=0.1, peak_rss_mib=None, tasks=10)]}

    tenth = rows("growth", 100, runs, dict.fromkeys(runs, "all"))[1]

    assert (tenth["tasks"], tenth["tasks_per_second"], tenth["ratio"]) == (10, 100, 2)


def test_the_peak_memory_is_that_of_the_run_that_took_most() -> None:
    runs = {"line": [run(1, 50), run(1, 70), run(1, 60)]}
    assert rows("dispatch", 100, runs, {"line": "line"})[0]["peak_rss_mib"] == 70
    assert rows("inserts", 100, {"line": [run(1)]}, {"line": "line"})[0]["peak_rss_mib"] is None


def test_the_parts_of_a_run_have_rates_of_their_own() -> None:
    measured = [
        Measured(seconds=3, peak_rss_mib=None, parts={"enqueue": enqueue, "drain": 3 - enqueue})
        for enqueue in (1, 2, 2.5)
    ]

    (row,) = rows("peers", 100, {"peer": measured}, {"peer": "peer"})

    assert row["parts"] == {"enqueue": 50, "drain": 100}


@pytest.mark.parametrize(("number", "reached"), [(1, 1), (50, 1), (99, 1), (100, 2), (200, 3)])
def test_99_percent_of_the_runs_reach_the_rate_of_the_nearest_rank(number: int, reached: float) -> None:
    rates = [float(each) for each in range(number, 0, -1)]

    assert reached_by(0.99, rates) == reached
    assert sum(rate >= reached for rate in rates) >= 0.99 * number
