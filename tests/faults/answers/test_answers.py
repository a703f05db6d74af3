"""Every call to PostgreSQL and to the broker is answered late, never, or with an error; a neighbour job ends in time.

`python -m tests.faults.answers` runs a part of this by hand.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from local.postgres import EmbeddedPostgres
from tests.faults.answers import plan
from tests.faults.answers.matrix import Matrix
from tests.faults.answers.plan import Case
from tests.faults.answers.trials import Outcome
from tests.faults.crash.broken_stories import most_played_again
from tests.faults.crash.places import ELSEWHERE, places
from tests.faults.figures import record
from tests.faults.sizes import only_long

_SOME = {case.name: case for case in plan.some()}

pytestmark = pytest.mark.timeout(3_600)


@pytest.fixture(scope="module")
def matrix(postgres: EmbeddedPostgres) -> Iterator[Matrix]:
    with Matrix.open(postgres.url().rpartition("/")[0]) as matrix:
        yield matrix


@pytest.fixture(scope="module")
def outcomes(matrix: Matrix, request: pytest.FixtureRequest) -> dict[Case, Future[Outcome]]:
    """The outcomes of the trials that were asked for, which run side by side."""
    names = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    return matrix.start(case for name, case in _SOME.items() if name in names)


@pytest.mark.parametrize("name", _SOME)
def test_nothing_is_lost_and_no_neighbour_waits_long(name: str, outcomes: dict[Case, Future[Outcome]]) -> None:
    outcome = outcomes[_SOME[name]].result()
    assert (outcome.violations, outcome.late) == ((), ())
    assert outcome.struck, "the scenario does not make this call"


@only_long  # takes many minutes
def test_every_call_of_every_place_is_answered_in_every_way(matrix: Matrix) -> None:
    recordings = matrix.recordings()
    passed = {call.place for recording in recordings for call in recording.calls}
    assert places() - passed <= ELSEWHERE
    outcomes = {str(case): future.result() for case, future in matrix.start(plan.every(recordings)).items()}
    broken = {name: [*outcome.violations, *outcome.late] for name, outcome in outcomes.items()}
    assert {name: found for name, found in broken.items() if found} == {}
    assert [name for name, outcome in outcomes.items() if not outcome.struck] == []
    played_again = sum(outcome.played_again for outcome in outcomes.values())
    assert played_again <= most_played_again(len(outcomes))
    record(
        "answers",
        trials=len(outcomes),
        played_again=played_again,
        processes=sum(outcome.lives for outcome in outcomes.values()),
        health_seconds=max(outcome.health_seconds for outcome in outcomes.values()),
        neighbour_seconds=max(outcome.neighbour_seconds for outcome in outcomes.values()),
    )
