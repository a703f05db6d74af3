"""The templates are Bicep whose names are declared and used, and whose resources are as Azure publishes them.

.github/workflows/ci.yml runs Microsoft's compiler, which no package of Python, npm or Debian holds. What it would find
is looked for here with tests/support/bicep, which knows the part of the language that the templates use.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bicep.evaluation import deploy
from tests.support.bicep.functions import FUNCTIONS
from tests.support.bicep.schema import Types
from tests.support.bicep.syntax import File, parse
from tests.support.bicep.tokens import BicepError
from tests.unit.infra.conftest import Deploy, templates

_VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "Premium": {
        "planSku": "EP1",
        "alwaysReady": [{"name": "http", "instanceCount": 2}],
        "deployerIpAddress": "192.0.2.1",
    },
    "private": {
        "privateNetwork": True,
        "queueRights": "listenAndSend",
        "jobEventsQueue": "ends",
        "alertEmail": "operators@example.com",
        "alwaysReady": [{"name": "function:run_job_message", "instanceCount": 1}],
    },
}


def _names(node: Any, bound: frozenset[str]) -> Iterator[str]:
    """The names that an expression reads from its file."""
    if isinstance(node, list):
        for each in node:
            yield from _names(each, bound)
    elif isinstance(node, tuple):
        if node and node[0] == "name":
            yield from () if node[1] in bound else (node[1],)
        elif node and node[0] in {"lambda", "comprehension"}:
            for each in node[2:]:
                yield from _names(each, bound | frozenset(node[1]))
        else:
            for each in node:
                yield from _names(each, bound)


def _read(file: File) -> set[str]:
    found: set[str] = set()
    waiting = list(file.declarations.values())
    while waiting:
        each = waiting.pop()
        bound = frozenset(each.loop[1]) if each.loop else frozenset[str]()
        found |= {name for node in (each.loop, each.condition, each.value) for name in _names(node, bound)}
        waiting += each.children
    return found


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_each_name_is_declared_and_each_parameter_and_variable_is_used(path: Path) -> None:
    file = parse(path)
    read = _read(file)
    assert read <= {each.name for each in file.declarations.values()}
    assert {each.name for each in (*file.of("param"), *file.of("var"))} - read == set()


def test_each_module_is_used() -> None:
    main, *_ = (parse(path) for path in templates() if path.name == "main.bicep")
    used = {(main.path.parent / each.type).resolve() for each in main.of("module")}
    assert {path.resolve() for path in templates()} - used == {main.path.resolve()}


@pytest.mark.parametrize("variant", _VARIANTS)
def test_the_resources_of_a_template_have_names_of_their_own(deployed: Deploy, variant: str) -> None:
    resources = deployed(**_VARIANTS[variant]).resources
    made = [(each.id, each.scope) for each in resources if not each.existing]
    assert len(made) > 25
    assert len(set(made)) == len(made)


@pytest.mark.skipif("LOCKSTEP_AZURE_TYPES" not in os.environ, reason="names a checkout of Azure/bicep-types-az")
@pytest.mark.parametrize("variant", _VARIANTS)
def test_the_resources_are_as_azure_publishes_them(deployed: Deploy, variant: str) -> None:
    types = Types(Path(os.environ["LOCKSTEP_AZURE_TYPES"]))
    resources = [each for each in deployed(**_VARIANTS[variant]).resources if not each.existing]
    assert [problem for each in resources for problem in types.problems(each)] == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("param a string\nvar b = a ? 1", "instead of :"),
        ("var a = [1 2]", "a comma or a new line is missing"),
        ("var a = 'text", "has no end"),
        ("var a = 1\nvar a = 2", "declared twice"),
        ("param a string\nmodule m 'x.bicep' = {\n  name: 'm\n}", "has no end"),
        ("resource a 'T@1' = {\n  name 'x'\n}", "instead of :"),
        ("vra a = 1", "instead of param"),
    ],
)
def test_what_is_no_bicep_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "main.bicep").write_text(text + "\n")
    with pytest.raises(BicepError, match=complaint):
        parse(tmp_path / "main.bicep")


def test_wrong_parameters_are_refused(deployed: Deploy, tmp_path: Path) -> None:
    for wrong, complaint in (
        ({"planSku": "Y1"}, "must not be 'Y1'"),
        ({"maximumInstanceCount": 1001}, "must not be 1001"),
        ({"alwaysReady": "one"}, "is no array"),
        ({"instances": 3}, "has no parameter instances"),
    ):
        with pytest.raises(BicepError, match=complaint):
            deployed(**wrong)
    (tmp_path / "main.bicep").write_text("param a string\noutput b string = c\n")
    with pytest.raises(BicepError, match="needs the parameter a"):
        deploy(tmp_path / "main.bicep", {})
    with pytest.raises(BicepError, match="c is not declared"):
        deploy(tmp_path / "main.bicep", {"a": "x"})


def test_objects_are_merged_deeply_and_the_later_value_wins() -> None:
    assert FUNCTIONS["union"]({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"d": 4}) == {"a": {"b": 1, "c": 3}, "d": 4}
