"""Compares resources with the types that Azure publishes and Bicep checks by: https://github.com/Azure/bicep-types-az."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.bicep.evaluation import Resource
from tests.support.bicep.functions import Runtime

_REQUIRED, _READ_ONLY = 1, 2
_META = {"id", "type", "apiVersion"}
_KINDS: dict[str, type | tuple[type, ...]] = {"StringType": str, "IntegerType": int, "BooleanType": bool}


class Types:
    """The types of one checkout of bicep-types-az."""

    def __init__(self, checkout: Path) -> None:
        self._generated = checkout / "generated"

    def problems(self, resource: Resource) -> list[str]:
        """Says what is wrong with a resource: unknown, missing, read-only and ill-typed properties."""
        wanted = f"{resource.type}@{resource.version}".lower()
        provider = resource.type.split("/")[0].lower()
        value = {**resource.body, "name": resource.name.rsplit("/", 1)[-1]}
        for path in sorted(self._generated.glob(f"*/{provider}/{resource.version}/types.json")):
            types = _load(path)
            for each in types:
                if each["$type"] == "ResourceType" and each["name"].lower() == wanted:
                    body = types[_number(each["body"])]
                    return list(_problems(types, body, value, resource.type))
        return [f"{resource.type}@{resource.version} is not published"]


@cache
def _load(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def _number(reference: dict[str, str]) -> int:
    return int(reference["$ref"].rpartition("/")[2])


def _problems(types: list[dict[str, Any]], kind: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if isinstance(value, Runtime) or kind["$type"] == "AnyType":
        return
    checks = {
        "ObjectType": _object_problems,
        "DiscriminatedObjectType": _discriminated_problems,
        "ArrayType": _array_problems,
        "UnionType": _union_problems,
    }
    yield from checks.get(kind["$type"], _plain_problems)(types, kind, value, at)


def _plain_problems(types: list[dict[str, Any]], kind: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    name = kind["$type"]
    if name == "StringLiteralType":
        if value != kind["value"]:
            yield f"{at} is not {kind['value']!r}: {value!r}"
    elif not isinstance(value, _KINDS[name]) or (name == "IntegerType" and isinstance(value, bool)):
        yield f"{at} is no {name}: {value!r}"


def _array_problems(types: list[dict[str, Any]], kind: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at} is no array: {value!r}"
        return
    for number, each in enumerate(value):
        yield from _problems(types, types[_number(kind["itemType"])], each, f"{at}[{number}]")


def _union_problems(types: list[dict[str, Any]], kind: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    """An enumeration that is open for new values is taken for closed: a new value would be a mistake here."""
    elements = [types[_number(each)] for each in kind["elements"]]
    literals = [each for each in elements if each["$type"] == "StringLiteralType"]
    if all(list(_problems(types, each, value, at)) for each in literals or elements):
        yield f"{at} is none of {[each.get('value') for each in elements]}: {value!r}"


def _discriminated_problems(types: list[dict[str, Any]], kind: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    chosen = value.get(kind["discriminator"])
    if chosen not in kind["elements"]:
        yield f"{at}.{kind['discriminator']} is none of {sorted(kind['elements'])}: {chosen!r}"
        return
    own = types[_number(kind["elements"][chosen])]
    merged = {**own, "properties": {**kind["baseProperties"], **own["properties"]}}
    yield from _object_problems(types, merged, value, at)


def _object_problems(types: list[dict[str, Any]], kind: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object: {value!r}"
        return
    properties = kind["properties"]
    for name, each in properties.items():
        if each["flags"] & _REQUIRED and name not in value and name not in _META:
            yield f"{at}.{name} is missing"
    for name, each in value.items():
        if name in properties:
            if properties[name]["flags"] & _READ_ONLY:
                yield f"{at}.{name} is read-only"
            yield from _problems(types, types[_number(properties[name]["type"])], each, f"{at}.{name}")
        elif "additionalProperties" not in kind:
            yield f"{at}.{name} is not known"
        else:
            yield from _problems(types, types[_number(kind["additionalProperties"])], each, f"{at}.{name}")
