"""`lockstep migrate` runs the step of the app, whose packages the command does not have."""

import os
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import run_command

STEP = """
import os, sys
open("ran.txt", "w").write("|".join([os.getcwd(), os.environ["DATABASE_URL"], *sys.argv[1:]]))
sys.exit(1)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of an app whose step writes down how it was run."""
    (tmp_path / "migrate.py").write_text(STEP)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
    return tmp_path


def test_it_runs_the_step_in_the_directory_of_the_app_and_ends_with_its_code(app: Path) -> None:
    ran = run_command("migrate", "--app", str(app), "--check", "--app-role", "-me", "--wait", "5")
    assert ran.code == 1
    directory, url, *arguments = (app / "ran.txt").read_text().split("|")
    assert (Path(directory), url) == (app.resolve(), "postgresql://nowhere")
    assert arguments == ["--wait=5.0", "--check", "--app-role=-me"]


def test_the_directory_is_the_present_one(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(app)
    assert run_command("migrate", "--python", os.path.relpath(sys.executable)).code == 1
    assert (app / "ran.txt").exists()


def test_a_directory_without_the_app_is_named(tmp_path: Path) -> None:
    ran = run_command("migrate", "--app", str(tmp_path))
    assert (ran.code, "has no migrate.py" in ran.err, "--app" in ran.err) == (2, True, True)


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_a_python_without_the_packages_of_the_app_is_named(app: Path, python: str) -> None:
    ran = run_command("migrate", "--app", str(app), "--python", python)
    assert (ran.code, python in ran.err, "--python" in ran.err) == (2, True, True)
    assert not (app / "ran.txt").exists()


def test_an_empty_role_of_a_variable_that_is_not_set_is_not_left_out(app: Path) -> None:
    ran = run_command("migrate", "--app", str(app), "--app-role", "")
    assert (ran.code, "--app-role must not be empty" in ran.err) == (2, True)
    assert not (app / "ran.txt").exists()
