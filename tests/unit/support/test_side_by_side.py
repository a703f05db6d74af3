from collections.abc import Callable
from textwrap import dedent

import pytest

from tests.support.side_by_side import group_of, pytest_collection_modifyitems

pytest_plugins = ["pytester"]

Collect = Callable[[str], list[pytest.Item]]

_MODULE = "test_its_groups.py"
_ITSELF = f"{_MODULE}::test_it"
_FIXTURES = """
import pytest

@pytest.fixture(scope="module")
def server():
    pass

@pytest.fixture
def client(server):
    pass

@pytest.fixture(scope="session")
def machine():
    pass

@pytest.fixture
def own():
    pass
"""


@pytest.fixture
def collect(pytester: pytest.Pytester) -> Collect:
    """Collects a module with these tests."""

    def collect(tests: str) -> list[pytest.Item]:
        pytester.makeini("[pytest]\nmarkers =\n  computes\n  waits\n  one_worker\n  spread\n  timeout")
        path = pytester.makepyfile(**{_MODULE.removesuffix(".py"): _FIXTURES + dedent(tests)})
        items, _ = pytester.inline_genitems(path)
        return items

    return collect


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("def test_it(): pass", _ITSELF),
        ("def test_it(own, machine): pass", _ITSELF),
        ("def test_it(server): pass", _MODULE),
        ("def test_it(client): pass", _MODULE),
        ("@pytest.mark.spread\ndef test_it(server): pass", _ITSELF),
        ("@pytest.mark.one_worker\ndef test_it(): pass", _MODULE),
        ("@pytest.mark.spread\n@pytest.mark.one_worker\ndef test_it(server): pass", _MODULE),
        ('@pytest.mark.one_worker("some")\ndef test_it(server): pass', "some"),
    ],
    ids=[
        "alone",
        "of the test or the session",
        "of the module",
        "indirectly",
        "spread",
        "one worker",
        "both markers",
        "named",
    ],
)
def test_a_test_goes_with_its_module_when_it_shares_something(collect: Collect, test: str, group: str) -> None:
    (item,) = collect(test)
    assert group_of(item) == group


def test_a_fixture_of_a_conftest_binds_no_test(pytester: pytest.Pytester, collect: Collect) -> None:
    pytester.makeconftest("import pytest\n\n@pytest.fixture(scope='module')\ndef shared(): pass")
    (item,) = collect("def test_it(shared): pass")
    assert group_of(item) == _ITSELF


def order(items: list[pytest.Item]) -> list[str]:
    pytest_collection_modifyitems(items)
    return [item.name for item in items]


def test_the_tests_with_the_longest_time_limits_begin(collect: Collect) -> None:
    items = collect(
        """
        def test_a(): pass
        @pytest.mark.timeout(60)
        def test_b(): pass
        def test_c(): pass
        @pytest.mark.timeout(600)
        def test_d(): pass
        """
    )
    assert order(items) == ["test_d", "test_b", "test_a", "test_c"]


def test_tests_that_compute_are_spread_over_those_that_wait(collect: Collect) -> None:
    waiting = "".join(f"@pytest.mark.waits\ndef test_waits_{n}(): pass\n" for n in range(4))
    computing = "".join(f"@pytest.mark.computes\ndef test_computes_{n}(): pass\n" for n in range(2))
    assert order(collect(f"def test_first(): pass\n{computing}{waiting}")) == [
        *("test_first", "test_computes_0", "test_waits_0", "test_waits_1"),
        *("test_computes_1", "test_waits_2", "test_waits_3"),
    ]


def test_tests_that_compute_end_the_run_when_none_waits(collect: Collect) -> None:
    items = collect("@pytest.mark.computes\ndef test_computes(): pass\ndef test_first(): pass")
    assert order(items) == ["test_first", "test_computes"]
