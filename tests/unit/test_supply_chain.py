"""The locks fit the requirements: each package is pinned, has hashes, and comes from no named registry."""

import os
import re
import stat
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from local.stack import ROOT

_NAMES = ("requirements", "requirements-dev", "requirements-geo", "requirements-tools")


def _asked(name: str) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in (ROOT / f"{name}.txt").read_text().splitlines())
    found: list[Requirement] = []
    for line in lines:
        if line.startswith("-r "):
            found += _asked(line.removeprefix("-r ").removesuffix(".txt"))
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


@cache
def _locked(name: str) -> list[tuple[Requirement, int]]:
    """The requirements of a lock, and how many hashes each has."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / f"{name}.lock").read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [(Requirement(line.split("--hash")[0]), line.count("--hash=sha256:")) for line in text.splitlines()]


def _version(name: str, package: str, environment: dict[str, str]) -> Version | None:
    for each, _ in _locked(name):
        if canonicalize_name(each.name) == package and (each.marker is None or each.marker.evaluate(environment)):
            return Version(next(iter(each.specifier)).version)
    return None


def _environments() -> list[dict[str, str]]:
    here = {name: str(value) for name, value in default_environment().items()}
    return [{**here, "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9"} for minor in (11, 12, 13)]


@pytest.mark.parametrize("name", _NAMES)
def test_a_lock_has_every_package_that_is_asked_for(name: str) -> None:
    for environment in _environments():
        for each in _asked(name):
            if each.marker is None or each.marker.evaluate(environment):
                version = _version(name, canonicalize_name(each.name), environment)
                assert version is not None, f"{each} is not in {name}.lock: run `make lock`"
                assert version in each.specifier, f"{name}.lock has {version} for {each}: run `make lock`"


@pytest.mark.parametrize("name", _NAMES)
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    assert len(_locked(name)) > 3
    for each, hashes in _locked(name):
        assert re.fullmatch(r"==[^*,]+", str(each.specifier)), each
        assert hashes > 0, each


@pytest.mark.parametrize("name", _NAMES)
def test_a_lock_names_no_registry(name: str) -> None:
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links", (ROOT / f"{name}.lock").read_text()) == []


def test_the_lock_is_complete_for_what_is_installed_here() -> None:
    """What the packages of the app bring on this Python is locked, too."""
    environment = {**{name: str(value) for name, value in default_environment().items()}, "extra": ""}
    for each, _ in _locked("requirements"):
        if each.marker is not None and not each.marker.evaluate(environment):
            continue
        for text in metadata.requires(each.name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate(environment):
                version = _version("requirements", canonicalize_name(needed.name), environment)
                assert version is not None, f"{each.name} needs {needed}"
                assert version in needed.specifier


def test_development_runs_the_packages_of_the_app() -> None:
    for environment in _environments():
        for each, _ in _locked("requirements"):
            if each.marker is None or each.marker.evaluate(environment):
                package = canonicalize_name(each.name)
                assert _version("requirements-dev", package, environment) == _version(
                    "requirements", package, environment
                )


def test_the_worker_of_python_3_13_is_pinned() -> None:
    (worker,) = (each for each in _asked("requirements") if each.name == "azure-functions-runtime")
    assert str(worker.marker) == 'python_version >= "3.13"'
    assert re.fullmatch(r"==\d+\.\d+\.\d+", str(worker.specifier))


def test_the_page_of_licences_lists_what_the_app_runs_with() -> None:
    page = dict(
        re.findall(
            r"^\| ([A-Za-z0-9._-]+) \| (\d\S*) \| \S.* \|$", (ROOT / "docs/licences.md").read_text(), re.MULTILINE
        )
    )
    environment = _environments()[0]
    locked = {
        each.name: _version("requirements", canonicalize_name(each.name), environment)
        for each, _ in _locked("requirements")
    }
    assert {name: version for name, version in page.items() if locked.get(name) not in (None, Version(version))} == {}
    always = {each.name for each, _ in _locked("requirements") if each.marker is None}
    assert always - page.keys() == set()


_VULNERABLE = '{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}'
_CLEAN = """echo '{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}'"""
_FOUND = f"""echo '{{"dependencies": [{_VULNERABLE}]}}'; exit 1"""
_SKIPPED = """echo '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}'"""
_UNREACHABLE = "echo 'requests.exceptions.ConnectionError: Max retries exceeded' >&2; exit 1"
_BROKEN = "echo 'usage: pip-audit' >&2; exit 2"


@pytest.mark.parametrize(
    ("audit", "needed", "code", "told"),
    [
        (_CLEAN, "", 0, "no known vulnerability in"),
        (_FOUND, "", 1, "a 1: CVE-1, mended in 2"),
        (_SKIPPED, "", 0, "NOT AUDITED"),
        (_SKIPPED, "1", 1, "NOT AUDITED"),
        (_UNREACHABLE, "", 0, "NOT AUDITED"),
        (_UNREACHABLE, "1", 1, "NOT AUDITED"),
        (_BROKEN, "", 2, "usage: pip-audit"),
    ],
)
def test_the_audit_fails_on_what_it_finds_and_says_when_it_cannot_look(
    tmp_path: Path, audit: str, needed: str, code: int, told: str
) -> None:
    double = tmp_path / "pip-audit"
    double.write_text(f"#!/bin/sh\n{audit}\n")
    double.chmod(double.stat().st_mode | stat.S_IXUSR)
    environment = {"PATH": os.environ["PATH"], "LOCKSTEP_NEEDS_AUDIT": needed}
    command = [sys.executable, str(ROOT / ".ci/audit.py"), str(double)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (ran.returncode, told in ran.stdout + ran.stderr) == (code, True)


def test_the_audit_asks_about_each_version_of_a_package(tmp_path: Path) -> None:
    """A package may be locked in one version for Python 3.13 and in another for the others."""
    asked = tmp_path / "asked"
    double = tmp_path / "pip-audit"
    double.write_text(f'#!/bin/sh\ncat "$2" >> {asked}\n{_CLEAN}\n')
    double.chmod(double.stat().st_mode | stat.S_IXUSR)
    subprocess.run([sys.executable, ROOT / ".ci/audit.py", double], capture_output=True, check=True, timeout=120)
    lines = asked.read_text().splitlines()
    assert len([line for line in lines if line.startswith("azure-functions==")]) == 2
    locked = {f"{each.name}{each.specifier}" for name in _NAMES for each, _ in _locked(name)}
    assert set(lines) == locked
