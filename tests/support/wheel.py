"""The wheel of the command and its client, and a virtual environment in which it is alone."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = ("cli", "client")
_PIP = ("-m", "pip", "--disable-pip-version-check")
_LEFT_OUT = ("..", "__pycache__")
_OFFLINE = ("--quiet", "--no-index", "--no-deps")


def build(directory: Path) -> Path:
    """Builds the wheel from a copy: the build writes into its directory."""
    source, built = directory / "source", directory / "built"
    built.mkdir(parents=True)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = [*_OFFLINE, "--no-build-isolation", "--wheel-dir", str(built), str(source)]
    subprocess.run([sys.executable, *_PIP, "wheel", *options], check=True, cwd=built)
    (path,) = built.iterdir()
    return path


def install_alone(directory: Path) -> Path:
    """Makes a virtual environment with the wheel and what it requires, from this environment; returns its directory."""
    wheel, environment = build(directory), directory / "venv"
    venv.create(environment)
    python = environment / "bin" / "python"
    options = [*_OFFLINE, "--no-compile", str(wheel)]
    subprocess.run([sys.executable, *_PIP, "--python", str(python), "install", *options], check=True)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (installed,) = Distribution.discover(name="lockstep", path=[str(packages)])
    for required in _closure(installed.requires or ()):
        for name in {file.parts[0] for file in required.files or () if file.parts[0] not in _LEFT_OUT}:
            (packages / name).symlink_to(Path(str(required.locate_file(name))))
    return environment


def _closure(requirements: Iterable[str]) -> list[Distribution]:
    """The distributions that are required, with those that they require."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        name = canonicalize_name(requirement.name)
        if is_needed and name not in found:
            found[name] = distribution(name)
            waiting += found[name].requires or ()
    return list(found.values())
