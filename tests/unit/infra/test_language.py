"""The templates are Bicep whose names are declared and used.

.github/workflows/ci.yml runs Microsoft's compiler, which no package of Python, npm or Debian holds. What it would find
is looked for here with tests/support/bicep, which knows the part of the language that the templates use.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_bicep

from tests.support.bicep.evaluation import Resource, deploy
from tests.support.bicep.functions import FUNCTIONS, Runtime
from tests.support.bicep.schema import Types
from tests.support.bicep.syntax import File, parse
from tests.support.bicep.tokens import BicepError
from tests.support.bicep.variants import VARIANTS
from tests.unit.infra.conftest import Deploy, templates


def _names(node: Any, bound: frozenset[str]) -> Iterator[str]:
    """The names that an expression reads from its file."""
    if isinstance(node, list):
        for each in node:
            yield from _names(each, bound)
    elif isinstance(node, tuple):
        kind = node[0] if node and isinstance(node[0], str) else ""
        if kind == "name":
            yield from () if node[1] in bound else (node[1],)
        elif kind in {"lambda", "comprehension"}:
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


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_a_grammar_that_others_wrote_takes_each_file(path: Path) -> None:
    language = tree_sitter.Language(tree_sitter_bicep.language())
    assert not tree_sitter.Parser(language).parse(path.read_bytes()).root_node.has_error


def test_each_module_is_used() -> None:
    main, *_ = (parse(path) for path in templates() if path.name == "main.bicep")
    used = {(main.path.parent / each.type).resolve() for each in main.of("module")}
    assert {path.resolve() for path in templates()} - used == {main.path.resolve()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_resources_of_a_template_have_names_of_their_own(deployed: Deploy, variant: str) -> None:
    resources = deployed(**VARIANTS[variant]).resources
    made = [(each.id, each.scope) for each in resources if not each.existing]
    assert len(made) > 25
    assert len(set(made)) == len(made)


_PUBLISHED = [
    {"$type": "StringType"},
    {"$type": "IntegerType", "minValue": 0},
    {"$type": "StringLiteralType", "value": "Small"},
    {"$type": "UnionType", "elements": [{"$ref": "#/2"}, {"$ref": "#/0"}]},
    {"$type": "ArrayType", "itemType": {"$ref": "#/1"}},
    {
        "$type": "ObjectType",
        "name": "Box",
        "properties": {
            "name": {"type": {"$ref": "#/0"}, "flags": 9},
            "size": {"type": {"$ref": "#/3"}, "flags": 1},
            "counts": {"type": {"$ref": "#/4"}, "flags": 0},
            "made": {"type": {"$ref": "#/0"}, "flags": 2},
        },
    },
    {"$type": "ResourceType", "name": "Test.Boxes/boxes@2026-01-01", "body": {"$ref": "#/5"}},
]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"size": "Small", "counts": [1, 2]}, []),
        ({"size": Runtime("<known later>")}, []),
        ({}, [".size is missing"]),
        ({"size": "Large"}, [".size is none of ['Small', None]: 'Large'"]),
        ({"size": "Small", "counts": [1, "2"]}, [".counts[1] is no IntegerType: '2'"]),
        ({"size": "Small", "counts": {}}, [".counts is no array: {}"]),
        ({"size": "Small", "made": "today"}, [".made is read-only"]),
        ({"size": "Small", "colour": "red"}, [".colour is not known"]),
    ],
)
def test_a_resource_is_compared_with_its_published_type(
    tmp_path: Path, body: dict[str, Any], problems: list[str]
) -> None:
    file = tmp_path / "generated" / "boxes" / "test.boxes" / "2026-01-01" / "types.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(_PUBLISHED))
    types = Types(tmp_path)
    found = types.problems(Resource("Test.Boxes/boxes", "2026-01-01", "one", body))
    assert found == [f"Test.Boxes/boxes{each}" for each in problems]
    assert types.problems(Resource("Test.Boxes/boxes", "2020-01-01", "one", body)) == [
        "Test.Boxes/boxes@2020-01-01 is not published"
    ]


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
