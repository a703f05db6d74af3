"""The docs name the commands and exit codes that there are."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import app
from cli.exits import ExitCode, of_job
from client import JOB_ENDS
from tests.unit.cli.conftest import run_command

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "command-line.md"
EXAMPLES = [
    line
    for file in (DOCS, ROOT / "README.md")
    for block in re.findall(r"```sh\n(.*?)```", file.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("lockstep ")
]


def test_the_docs_list_every_exit_code() -> None:
    documented = re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.MULTILINE)
    assert [int(code) for code in documented] == list(ExitCode)


def test_the_docs_name_every_command() -> None:
    text = DOCS.read_text()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined] # it is a group
    assert [name for name in commands if f"`{name}" not in text] == []


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_of_the_docs_is_a_valid_command_line(line: str) -> None:
    _, *arguments = shlex.split(line, comments=True)
    group: Any = typer.main.get_command(app)
    context = group.make_context("lockstep", arguments)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, rest, parent=context)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 5


def test_every_end_of_a_job_has_an_exit_code() -> None:
    assert {of_job(status) for status in JOB_ENDS} == {0, 1, 5, 6}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_get_a_completion(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LOCKSTEP_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "lockstep dead")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "lockstep dead")
    assert "dead-letters" in run_command().out


def test_a_wrong_command_line_is_a_usage_error() -> None:
    assert run_command("submit").code == run_command("no-such-command").code == run_command("jobs", "--no").code == 2


@pytest.mark.parametrize("command", typer.main.get_command(app).commands)  # type: ignore[attr-defined] # as above
def test_every_command_has_a_help(command: str) -> None:
    ran = run_command(command, "--help")
    assert ran.code == 0
    assert f"lockstep {command}" in ran.out
