"""Problem documents have types that stay, each with its section in the documentation; answers repeat request ids."""

import ast
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import azure.functions as func
import pytest

from api.problems import answers_problems, problem
from core.errors import DatabaseUnavailableError, JobNotFoundError
from tests.unit.api.support import BASE, body

_ROOT = Path(__file__).parents[3]
_SECTIONS = re.findall(r"^## (\S+)$", (_ROOT / "docs" / "problems.md").read_text(), re.MULTILINE)


def _titles() -> Iterator[str]:
    """The titles of all problems that the API answers."""
    for path in sorted((_ROOT / "api").glob("*.py")):
        tree = ast.parse(path.read_text())
        names = {
            node.targets[0].id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "problem":
                yield from _texts(node.args[1], names)


def _texts(node: ast.expr, names: dict[str, ast.expr]) -> Iterator[str]:
    if isinstance(node, ast.Name):
        node = names[node.id]
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body, names)
        yield from _texts(node.orelse, names)
    else:
        assert isinstance(node, ast.Constant), "the title of a problem is not written out"
        yield str(node.value)


def test_every_type_of_problem_has_its_section() -> None:
    names = [body(problem(400, title, ""))["type"].removeprefix("urn:lockstep:problem:") for title in _titles()]
    assert sorted(set(names)) == sorted(_SECTIONS)


def test_a_type_is_not_redacted() -> None:
    assert body(problem(404, "No such job", "why"))["type"] == "urn:lockstep:problem:no-such-job"


def answer(request_id: str | None, outcome: Callable[[], func.HttpResponse]) -> func.HttpResponse:
    @answers_problems
    def function(req: func.HttpRequest) -> func.HttpResponse:
        return outcome()

    headers = {} if request_id is None else {"X-Request-Id": request_id}
    return function(func.HttpRequest("GET", BASE, headers=headers, body=b""))


def raising(error: Exception) -> Callable[[], func.HttpResponse]:
    def outcome() -> func.HttpResponse:
        raise error

    return outcome


@pytest.mark.parametrize(
    ("outcome", "status"), [(func.HttpResponse, 200), (raising(JobNotFoundError("x")), 404), (raising(KeyError()), 500)]
)
def test_the_id_of_a_request_is_answered_and_logged(
    outcome: Callable[[], func.HttpResponse], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        response = answer("client-7/42", outcome)
    assert (response.status_code, response.headers["x-request-id"]) == (status, "client-7/42")
    assert f"request client-7/42: function answered {status}" in caplog.messages


@pytest.mark.parametrize("request_id", ["", "x" * 129, "two words", "a\nb", "\xe9"])
def test_an_id_that_no_line_may_hold_is_not_repeated(request_id: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = answer(request_id, func.HttpResponse)
    assert "x-request-id" not in response.headers
    assert caplog.messages == []


def test_a_request_without_an_id_gets_none() -> None:
    assert "x-request-id" not in answer(None, func.HttpResponse).headers


@pytest.mark.parametrize("error", [KeyError(), DatabaseUnavailableError("no")])
def test_a_request_that_failed_gets_an_id(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        first, second = (answer(None, raising(error)).headers["x-request-id"] for _ in range(2))
    assert first != second
    assert first in caplog.text
