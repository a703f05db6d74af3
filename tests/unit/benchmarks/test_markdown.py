import pytest

from benchmarks.markdown import table
from benchmarks.measure import Measured, Row, rows


def measured() -> list[Row]:
    runs = {
        "reference": [Measured(seconds=seconds, peak_rss_mib=50) for seconds in (0.1, 0.1)],
        "line": [Measured(seconds=seconds, peak_rss_mib=None) for seconds in (0.1, 0.05)],
    }
    return rows("dispatch", 1_000, runs, dict.fromkeys(runs, "reference"))


def test_a_table_has_the_median_the_spread_and_the_ratio_of_each_line() -> None:
    assert table(measured()).splitlines() == [
        "| line | tasks | tasks/s | min - max | ratio | min - max | peak RSS, MiB |",
        "|---|---|---|---|---|---|---|",
        "| `reference` | 1,000 | 10,000 | 10,000 - 10,000 | 1.00 | 1.00 - 1.00 | 50 |",
        "| `line` | 1,000 | 15,000 | 10,000 - 20,000 | 1.50 | 1.00 - 2.00 | - |",
    ]


def test_a_table_of_latencies_has_milliseconds_and_times_of_the_reference() -> None:
    runs = {"bare": [Measured(seconds=0.01, peak_rss_mib=None, tasks=1)] * 2}
    runs["job"] = [Measured(seconds=seconds, peak_rss_mib=None, tasks=1) for seconds in (0.02, 0.02)]

    assert table(rows("latency", 1, runs, dict.fromkeys(runs, "bare")), "ms").splitlines() == [
        "| line | runs | p50, ms | p99, ms | min - max | times its reference | min - max |",
        "|---|---|---|---|---|---|---|",
        "| `bare` | 2 | 10.0 | 10.0 | 10.0 - 10.0 | 1.00 | 1.00 - 1.00 |",
        "| `job` | 2 | 20.0 | 20.0 | 20.0 - 20.0 | 2.00 | 2.00 - 2.00 |",
    ]


@pytest.mark.parametrize("name", ["parts", "figures"])
def test_parts_and_figures_have_columns_of_their_own(name: str) -> None:
    one = {"parts": {"enqueue": 0.5}} if name == "parts" else {"figures": {"WAL, bytes": 1_234.4}}
    runs = {"a": [Measured(seconds=1, peak_rss_mib=None, **one)], "b": [Measured(seconds=1, peak_rss_mib=None)]}  # type: ignore[typeddict-item]

    lines = table(rows("peers", 100, runs, dict.fromkeys(runs, "a"))).splitlines()

    head, _, with_it, without = ([text.strip() for text in line.split("|")] for line in lines)
    heading, text = ("enqueue/s", "200") if name == "parts" else ("WAL, bytes", "1,234")
    assert with_it[head.index(heading)] == text
    assert without[head.index(heading)] == "-"
