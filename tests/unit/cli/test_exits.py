"""Exit codes and completion are documented as they are."""

import re
from pathlib import Path

import pytest
import typer

from cli.app import app
from cli.exits import ExitCode, of_job
from cli.parameters import InvalidParametersError, check, read_parameters
from client import JOB_ENDS
from client.app_answers import JobType
from tests.unit.cli.conftest import run_command

DOCS = Path(__file__).parents[3] / "docs" / "command-line.md"


def test_the_docs_list_every_exit_code() -> None:
    documented = re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.MULTILINE)
    assert [int(code) for code in documented] == list(ExitCode)


def test_the_docs_name_every_command() -> None:
    text = DOCS.read_text()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined] # it is a group
    assert [name for name in commands if f"`{name}" not in text] == []


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


def job_type(**properties: object) -> JobType:
    schema = {"properties": properties, "additionalProperties": False}
    return {"name": "sample", "description": None, "parameters": schema, "stages": [], "task_types": []}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({"type": "integer"}, "5", 5),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "true", "true"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "null", None),
        ({"type": "array", "items": {"type": "integer"}}, "[1,2]", [1, 2]),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({}, "a=b", "a=b"),
    ],
)
def test_a_value_is_read_as_its_schema_says(schema: dict[str, object], text: str, value: object) -> None:
    assert read_parameters([f"it={text}"], None, {"properties": {"it": schema}}) == {"it": value}


def test_nested_fields_are_named_with_their_path() -> None:
    inner = {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}
    with pytest.raises(InvalidParametersError) as caught:
        check(job_type(a=inner, c={"anyOf": [{"type": "integer"}, {"type": "null"}]}), {"a": {}, "c": "x"})
    assert [each.field for each in caught.value.fields] == ["a.b", "c"]


def test_a_secret_is_not_in_the_text_of_its_error() -> None:
    secret = {"type": "string", "writeOnly": True, "minLength": 99}
    with pytest.raises(InvalidParametersError, match="token: does not fit minLength: 99") as caught:
        check(job_type(token=secret), {"token": "pssst"})
    assert "pssst" not in str(caught.value)
