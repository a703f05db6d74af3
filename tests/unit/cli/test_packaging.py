"""What is installed from the repository is the command and its client alone, with the packages that they import."""

import ast
import sys
import tomllib
import zipfile
from email.parser import Parser

import pytest

from tests.support.wheel import PACKAGES, ROOT, build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    path = build(tmp_path_factory.mktemp("wheel"))
    assert path.name.startswith("lockstep-")
    assert path.name.endswith("-py3-none-any.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_the_files_of_the_command_and_its_client(wheel: zipfile.ZipFile) -> None:
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert files == sources | {"client/py.typed"}


def test_the_wheel_needs_what_its_files_import_and_nothing_of_the_app(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith("METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    needed = {each.split(">=")[0] for each in metadata.get_all("Requires-Dist", [])}
    imported = {module for file in wheel.namelist() if file.endswith(".py") for module in roots(wheel.read(file))}
    assert imported - set(sys.stdlib_module_names) - set(PACKAGES) == needed
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split() == ["[console_scripts]", "lockstep", "=", "cli.__main__:main"]


def test_the_oldest_versions_that_it_takes_are_not_newer_than_the_tested_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = dict(line.split("==") for line in (ROOT / "requirements-dev.txt").read_text().splitlines() if "==" in line)
    for each in project["dependencies"]:
        name, oldest = each.split(">=")
        assert tuple(map(int, oldest.split("."))) <= tuple(map(int, tested[name].split(".")))


def roots(source: bytes) -> set[str]:
    """The packages that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found
