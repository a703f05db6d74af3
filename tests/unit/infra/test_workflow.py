"""The jobs on GitHub's machines prepare what they need: nothing here can run them."""

import re

from local.stack import ROOT

_TEXT = (ROOT / ".github/workflows/ci.yml").read_text()


def _jobs() -> dict[str, str]:
    """The text of each job by its name."""
    parts = re.split(r"^  (\w+):\n", _TEXT.partition("\njobs:\n")[2], flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_job_that_installs_the_packages_has_a_python_and_what_they_are_built_with() -> None:
    jobs = {name: text for name, text in _jobs().items() if re.search(r"\bmake (install|check|test)\b", text)}
    assert len(jobs) >= 4
    for name, text in jobs.items():
        before = re.split(r"\bmake (?:install|check|test)\b", text)[0]
        assert "actions/setup-python@" in before, name
        assert "build-essential libssl-dev" in before, name
        assert "cache-dependency-path: requirements*.lock" in before, name


def test_a_way_to_postgresql_that_needs_a_package_installs_it() -> None:
    ways = _jobs()["ways"]
    assert re.search(r"^ +- LOCKSTEP_TEST_DATABASE=pgbouncer$", ways, re.MULTILINE)
    assert "make pgbouncer" in ways.partition("make test")[0]


def test_no_job_leaves_tests_out_because_an_emulator_is_missing() -> None:
    for name, text in _jobs().items():
        assert ("make test" in text) == ('LOCKSTEP_NEEDS_AZURITE: "1"' in text), name
