"""Without any one guard a test fails, so the tests hold every guard."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import pytest

from local.postgres import EmbeddedPostgres
from tests.faults import bulk_mutations as bulk
from tests.faults import dispatch_mutations as dispatch
from tests.faults import envelope_mutations as envelopes
from tests.faults import letter_mutations as letters
from tests.faults import limit_mutations as limits
from tests.faults import list_mutations as lists
from tests.faults import notice_mutations as notices
from tests.faults import part_mutations as parts
from tests.faults import room_mutations as room
from tests.faults import schedule_mutations as schedules
from tests.faults import telemetry_mutations as telemetry
from tests.faults import tile_mutations as tiles
from tests.faults import urgent_mutations as urgent
from tests.faults import waiting_mutations as waiting
from tests.faults.answers import mutations as answers
from tests.faults.mutants import ALL_PASSED, SOME_FAILED, Copy
from tests.faults.mutations import MUTATIONS as GUARDS

pytestmark = [pytest.mark.computes, pytest.mark.spread, pytest.mark.timeout(1_500)]
MUTATIONS = {
    **GUARDS,
    **answers.MUTATIONS,
    **lists.MUTATIONS,
    **schedules.MUTATIONS,
    **room.MUTATIONS,
    **limits.MUTATIONS,
    **tiles.MUTATIONS,
    **waiting.MUTATIONS,
    **urgent.MUTATIONS,
    **dispatch.MUTATIONS,
    **envelopes.MUTATIONS,
    **letters.MUTATIONS,
    **parts.MUTATIONS,
    **bulk.MUTATIONS,
    **notices.MUTATIONS,
    **telemetry.MUTATIONS,
}
_APART = ("repositories/sql/migrations/", "tests/integration/")
_TESTS = {test for _, tests in MUTATIONS.values() for test in tests}
_numbers = itertools.count(1)

Lend = Callable[[Iterable[str]], str]
"""Gives the URL of a database, by the files that a run is about."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with closing(Copy(tmp_path_factory.mktemp("mutations") / "copy")) as copy:
        yield copy


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> str:
    """An empty database; it is not dropped, because the whole server soon ends."""
    return postgres.url(f"lent_{next(_numbers)}")


@pytest.fixture(scope="module")
def shared_url(postgres: EmbeddedPostgres) -> str:
    """A database that the first run migrates, and each run leaves without rows."""
    return postgres.url("lent")


@pytest.fixture
def lend(request: pytest.FixtureRequest) -> Lend:
    """Lends the shared database, unless the files change the schema, or their tests read statistics of a database."""

    def url(concerned: Iterable[str]) -> str:
        is_apart = any(each.startswith(_APART) for each in concerned)
        return str(request.getfixturevalue("empty_url" if is_apart else "shared_url"))

    return url


@pytest.mark.parametrize("file", sorted({test.partition("::")[0] for _, tests in MUTATIONS.values() for test in tests}))
def test_without_a_mutation_the_tests_of_a_file_pass(
    copy: Copy, lend: Callable[[Iterable[str]], str], file: str
) -> None:
    named = {test for _, tests in MUTATIONS.values() for test in tests}
    tests = sorted(test for test in named if test.startswith(f"{file}::"))
    result = copy.run(tests, lend(tests))
    assert result.exit_code == ALL_PASSED, result.said
    assert f"{len(tests)} passed" in result.said


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_guard_that_is_taken_out_is_missed(copy: Copy, lend: Lend, name: str) -> None:
    edits, tests = MUTATIONS[name]
    with copy.edited(edits):
        result = copy.run(tests, lend([*(edit.file for edit in edits), *tests]))
    assert (result.exit_code, set(result.failed)) == (SOME_FAILED, set(tests)), result.said
