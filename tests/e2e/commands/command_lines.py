"""Runs command lines as people type them, and reads from the source of tests which ones these run."""

import ast
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from cli.app import app

_NEEDS_NO_STACK = {"install_completion", "show_completion"}


@dataclass(frozen=True)
class Ran:
    """What a command line has written."""

    out: str
    err: str
    code: int

    @property
    def documents(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def run(line: str, expected: int = 0, stdin: str | None = None) -> Ran:
    """Runs a command line in this process, over HTTP; the exit code must be the expected one."""
    ran = attempt(line, stdin)
    assert ran.code == expected, (line, ran)
    return ran


def attempt(line: str, stdin: str | None = None) -> Ran:
    """Runs a command line in this process, whatever its exit code is."""
    _, *arguments = shlex.split(line)
    result = CliRunner().invoke(app, arguments, input=stdin, prog_name="lockstep")
    assert result.exception is None or isinstance(result.exception, SystemExit), (line, result.exception)
    return Ran(result.stdout, result.stderr, result.exit_code)


def known() -> set[str]:
    """Every command with each of its options, such as `retry --error`."""
    return set(_of_group(typer.main.get_command(app), ""))


def _of_group(command: Any, name: str) -> Iterator[str]:
    yield name
    options = (each for each in command.params if each.param_type_name == "option")
    yield from (f"{name} {each.opts[-1]}".strip() for each in options if each.name not in _NEEDS_NO_STACK)
    for sub_name, sub in getattr(command, "commands", {}).items():
        yield from _of_group(sub, f"{name} {sub_name}".strip())


def run_by(file: Path) -> set[str]:
    """The commands and options in the command lines of a file of tests: its texts that begin with `lockstep `."""
    texts = map(_text, ast.walk(ast.parse(file.read_text())))
    return {part for text in texts if text.startswith("lockstep ") for part in _parts(shlex.split(text)[1:])}


def _text(node: ast.AST) -> str:
    """A text as it is in the source, with `0` for each value that is put into it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) or "0" for each in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _parts(arguments: list[str]) -> Iterator[str]:
    command: Any = typer.main.get_command(app)
    name = ""
    yield name
    values = 0
    for each in arguments:
        option = next((param for param in command.params if each.split("=")[0] in param.opts), None)
        if values:
            values -= 1
        elif option is not None:
            yield f"{name} {option.opts[-1]}".strip()
            values = 0 if option.is_flag or "=" in each else 1
        elif each in getattr(command, "commands", {}):
            command, name = command.commands[each], f"{name} {each}".strip()
            yield name
