"""A real process is killed with SIGKILL at every crash point; after a restart and a sweep nothing is lost.

`python -m tests.faults.crash` runs a part of this by hand.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.postgres import EmbeddedPostgres
from tests.faults.crash import plan
from tests.faults.crash.matrix import SIZES, Case, Matrix
from tests.faults.crash.places import places
from tests.faults.crash.table import table
from tests.faults.crash.trials import Outcome

_PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"

_ELSEWHERE = {
    "Recorder._try_to",  # while PostgreSQL is away: it keeps a lease, or gives it back, and fails in silence
    "Pruner.prune",  # what it deletes has ended long ago, and what is left it finds again
    "Pruner._job",
}

# One worker for all: they share the matrix, whose worlds keep both cores busy.
pytestmark = [pytest.mark.timeout(1_200), pytest.mark.xdist_group("crash_points")]

every_size = pytest.mark.parametrize("size", SIZES)


@pytest.fixture(scope="module")
def matrix(postgres: EmbeddedPostgres) -> Iterator[Matrix]:
    with Matrix.open(postgres.url("postgres").removesuffix("/postgres")) as matrix:
        yield matrix


def assert_held(outcomes: dict[Case, Outcome]) -> None:
    assert {str(case): outcome.violations for case, outcome in outcomes.items() if outcome.violations} == {}
    assert {str(case) for case, outcome in outcomes.items() if outcome.kills == 0} == set()


@every_size
def test_nothing_is_lost_wherever_a_process_is_killed(matrix: Matrix, size: int) -> None:
    assert_held(matrix.run(plan.once(matrix.recordings(size)), size))


@every_size
def test_nothing_is_lost_when_the_process_that_follows_is_killed_at_the_same_step(matrix: Matrix, size: int) -> None:
    outcomes = matrix.run(plan.twice(matrix.recordings(size)), size)
    assert_held(outcomes)
    assert any(outcome.kills == 2 for outcome in outcomes.values())


def test_the_scenarios_pass_every_place_in_the_engine_that_commits_or_sends(matrix: Matrix) -> None:
    passings = (passing for recording in matrix.recordings(SIZES[0]) for passing in recording.passings)
    assert places() - {passing.point.place for passing in passings} == _ELSEWHERE


def test_the_page_on_reliability_lists_every_step(matrix: Matrix) -> None:
    assert table({size: matrix.recordings(size) for size in SIZES}) in _PAGE.read_text()
