"""The Dockerfile fits the rest: no engine for containers runs here, so nothing else would notice."""

import re
from pathlib import PurePath

import pytest

from local.stack import ROOT
from tests.unit.infra.conftest import INFRA

_DOCKERFILE = (ROOT / "Dockerfile").read_text()
_OF_THE_APP = {
    "function_app.py",
    "bootstrap.py",
    "connections.py",
    "migrate.py",
    "settings.py",
    "wiring.py",
    "host.json",
}
_OF_THE_APP |= {"api", "controllers", "core", "engine", "repositories", "telemetry", "triggers"}


def _ignored(name: str, patterns: list[str]) -> bool:
    return any(PurePath(name).match(pattern.removeprefix("**/").strip("/")) for pattern in patterns)


def _patterns(file: str) -> list[str]:
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _tracked() -> list[str]:
    return [path.name for path in ROOT.iterdir() if path.name != ".git"]


def test_the_image_has_the_python_of_the_function_app() -> None:
    version = re.search(r"^FROM mcr.microsoft.com/azure-functions/python:4-python(\S+)$", _DOCKERFILE, re.MULTILINE)
    assert version is not None
    assert f"var pythonVersion = '{version[1]}'" in (INFRA / "modules" / "app.bicep").read_text()


def test_the_image_holds_the_files_of_a_package_and_no_others() -> None:
    for file in (".dockerignore", ".funcignore"):
        kept = {name for name in _tracked() if not _ignored(name, _patterns(file))}
        assert kept >= _OF_THE_APP
        assert (
            kept & {"tests", "docs", "infra", "local", "benchmarks", "cli", "client", "samples", "azure.yaml"} == set()
        )
        assert not _ignored("requirements.lock" if file == ".dockerignore" else "requirements.txt", _patterns(file))


@pytest.mark.parametrize("file", [".dockerignore", ".funcignore"])
def test_what_tools_leave_in_a_checkout_is_in_neither(file: str) -> None:
    """Settings with secrets, other environments, caches: what git ignores, but for the packages built for the app."""
    left = {pattern.replace("*", "x").strip("/") for pattern in _patterns(".gitignore")} - {"samples/delivery"}
    kept = {name for name in left if not _ignored(name, _patterns(file))}
    assert kept == ({".python_packages"} if file == ".funcignore" else set())


def test_the_page_packs_the_app_and_nothing_else_for_a_premium_plan() -> None:
    """Neither settings with secrets nor the environment of azd; with the packages, which are built beside it."""
    page = (ROOT / "docs/azure.md").read_text()
    packed = re.search(r"^zip -qr app.zip (.*) -x '\*/__pycache__/\*'$", page, re.MULTILINE)
    assert packed is not None
    kept = {name for name in _tracked() if not _ignored(name, _patterns(".funcignore"))}
    code = {name for name in kept if name.endswith(".py") or any((ROOT / name).glob("*.py"))}
    assert set(packed[1].split()) == code | {"host.json", ".python_packages"}


def test_a_job_type_may_have_a_folder_of_any_name() -> None:
    """A pattern without a slash in front, such as `client/`, also keeps out controllers/tiles/client."""
    anywhere = {"__pycache__/", "*.pyc"}
    assert {line for line in _patterns(".funcignore") if not line.startswith("/")} == anywhere
    assert {line.removeprefix("**/") for line in _patterns(".dockerignore") if line.startswith("**/")} == anywhere


def test_the_packages_are_those_of_the_lock() -> None:
    assert re.findall("^COPY (?!--chown)(.*)$", _DOCKERFILE, re.MULTILINE) == [
        "requirements.lock /tmp/requirements.lock"
    ]
    assert "--require-hashes --requirement /tmp/requirements.lock" in _DOCKERFILE


def test_the_host_runs_without_the_rights_of_root() -> None:
    assert re.findall("^USER (.*)$", _DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    port = re.search(r"ASPNETCORE_URLS=http://\+:(\d+)", _DOCKERFILE)
    assert port is not None
    assert int(port[1]) > 1023
    assert f"EXPOSE {port[1]}\n" in _DOCKERFILE


def test_any_builder_builds_the_image() -> None:
    """Symbolic modes of COPY came with Dockerfile 1.14, and builders without BuildKit have no --chmod at all."""
    assert "--chmod" not in _DOCKERFILE
    lines = _DOCKERFILE.splitlines()
    copied = lines.index("COPY --chown=root:lockstep . /home/site/wwwroot")
    assert (
        lines[copied + 1 : lines.index("USER 10001:10001")].count("RUN chmod -R u=rwX,g=rX,o= /home/site/wwwroot") == 1
    )


def test_the_image_names_no_secret() -> None:
    assert re.findall("(?i)password|secret(?!s)|token|accountkey", _DOCKERFILE) == []
