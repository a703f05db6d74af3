import pytest

from benchmarks.rounds import run, with_lines
from tests.unit.benchmarks.support import Bench


def test_the_lines_run_interleaved_and_every_second_round_backwards() -> None:
    bench = Bench()

    rows = run("name", bench.benchmark(), tasks=100, repeats=3)

    assert [name for name, _ in bench.runs] == ["one", "other", "other", "one", "one", "other"]
    assert [(row["line"], row["runs"]) for row in rows] == [("one", 3), ("other", 3)]


def test_chosen_lines_run_with_their_reference_alone() -> None:
    bench = Bench()
    assert [row["line"] for row in run("name", with_lines(bench.benchmark(), ["one"]), tasks=1, repeats=1)] == ["one"]
    rows = run("name", with_lines(bench.benchmark(), ["other"]), tasks=1, repeats=1)
    assert [row["line"] for row in rows] == ["one", "other"]
    with pytest.raises(ValueError, match="there is no line third; the lines are one, other"):
        run("name", with_lines(bench.benchmark(), ["third"]), tasks=1, repeats=1)
