"""A real process is killed with SIGKILL at every crash point; after a restart and a sweep nothing is lost.

`python -m tests.faults.crash` runs a part of this by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from local.postgres import EmbeddedPostgres
from tests.faults.crash import plan
from tests.faults.crash.broken_stories import most_played_again
from tests.faults.crash.matrix import SIZES, Case, Matrix, Recording
from tests.faults.crash.places import ELSEWHERE, places
from tests.faults.crash.table import table
from tests.faults.crash.trials import Outcome
from tests.faults.figures import record
from tests.faults.sizes import LONG

_PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"

pytestmark = pytest.mark.timeout(3_600)

every_size = pytest.mark.parametrize("size", SIZES)


@pytest.fixture(scope="module")
def matrix(postgres: EmbeddedPostgres) -> Iterator[Matrix]:
    with Matrix.open(postgres.url("postgres").removesuffix("/postgres")) as matrix:
        yield matrix


def assert_held(outcomes: dict[Case, Outcome], size: int, times: str) -> None:
    assert {str(case): outcome.violations for case, outcome in outcomes.items() if outcome.violations} == {}
    assert {str(case) for case, outcome in outcomes.items() if outcome.kills == 0} == set()
    kills, lives, played_again = (
        sum(getattr(outcome, count) for outcome in outcomes.values()) for count in ("kills", "lives", "played_again")
    )
    assert played_again <= most_played_again(len(outcomes))
    figures = {"trials": len(outcomes), "kills": kills, "processes": lives, "played_again": played_again}
    record(f"crash points, {times}", tasks=size, **figures)


def chosen(matrix: Matrix, size: int, cases: Callable[[Sequence[Recording]], list[Case]]) -> list[Case]:
    """The cases of a size: all in the long form, a share of them in the short form."""
    if LONG:
        return cases(matrix.recordings(size))
    return plan.share({each: cases(matrix.recordings(each)) for each in SIZES})[size]


@every_size
def test_nothing_is_lost_wherever_a_process_is_killed(matrix: Matrix, size: int) -> None:
    cases = chosen(matrix, size, plan.once)
    # The first kill of the other test's cases is before each step: only the long form does that by itself as well.
    kills = [case for case in cases if LONG or case.points[0].moment == "after"]
    assert_held(matrix.run(kills, size), size, "once")


@every_size
def test_nothing_is_lost_when_the_process_that_follows_is_killed_at_the_same_step(matrix: Matrix, size: int) -> None:
    outcomes = matrix.run(chosen(matrix, size, plan.twice), size)
    assert_held(outcomes, size, "twice")
    assert any(outcome.kills == 2 for outcome in outcomes.values())


def test_the_scenarios_pass_every_place_in_the_engine_that_commits_or_sends(matrix: Matrix) -> None:
    recordings = [recording for size in SIZES for recording in matrix.recordings(size)]
    passings = (passing for recording in recordings for passing in recording.passings)
    assert places() - {passing.point.place for passing in passings} == ELSEWHERE


def test_the_page_on_reliability_lists_every_place_of_every_function(matrix: Matrix) -> None:
    passed = table({size: matrix.recordings(size) for size in SIZES})
    page = _PAGE.read_text()
    assert _places(passed) == _places(page[page.index("## Crash points") :])


def _places(text: str) -> set[tuple[str, str]]:
    """Function and place of each row, without the step: some steps depend on the order of threads."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    return {(row[0], row[1]) for row in cells}
