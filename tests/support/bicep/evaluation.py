"""Evaluates templates: which resources would they deploy, with which properties?

What only Azure knows, such as the host name of a server, becomes a text in angle brackets.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.bicep.functions import FUNCTIONS, Runtime
from tests.support.bicep.syntax import Declaration, File, Node, parse
from tests.support.bicep.tokens import BicepError

_META = {"name", "parent", "scope", "dependsOn"}


@dataclass(frozen=True)
class Resource:
    """A resource: `type` without its version, `name` with those of its parents, `after` the ids of its dependsOn."""

    type: str
    version: str
    name: str
    body: dict[str, Any] = field(hash=False)
    scope: str = ""
    existing: bool = False
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"/{self.type}/{self.name}"

    def member(self, name: str) -> Any:
        own = {"id": self.id, "name": self.name.rsplit("/", 1)[-1], "type": self.type}
        return own[name] if name in own else Runtime(f"<{self.id}.{name}>")


@dataclass(frozen=True)
class Module:
    outputs: Callable[[], Mapping[str, Any]]

    def member(self, name: str) -> Any:
        if name != "outputs":
            raise BicepError(f"a module has no {name}")
        return self.outputs()


@dataclass
class Deployment:
    """What a template deploys."""

    resources: list[Resource]
    outputs: dict[str, Any]

    def of(self, kind: str) -> list[Resource]:
        return [each for each in self.resources if each.type == kind and not each.existing]

    def one(self, kind: str) -> Resource:
        (found,) = self.of(kind)
        return found


def deploy(path: Path, parameters: Mapping[str, Any]) -> Deployment:
    """Evaluates a template and its modules.

    Raises:
        BicepError: a parameter is missing, unknown or not allowed, or an expression has no value.
    """
    run = _Run(parse(path), parameters)
    return Deployment(run.deployed, run.outputs())


class _Run:
    """The evaluation of one file; values are found when they are asked for, each once."""

    def __init__(self, file: File, parameters: Mapping[str, Any]) -> None:
        self._file = file
        self._parameters = parameters
        self._values: dict[str, Any] = {}
        self._children: dict[tuple[str, str], Resource] = {}
        self.deployed: list[Resource] = []
        if unknown := parameters.keys() - {each.name for each in file.of("param")}:
            raise BicepError(f"{file.path.name} has no parameter {', '.join(sorted(unknown))}")
        for each in (*file.of("param"), *file.of("resource"), *file.of("module")):
            self._value(each.name)

    def outputs(self) -> dict[str, Any]:
        return {each.name: self._evaluate(each.value, {}) for each in self._file.of("output")}

    def _value(self, name: str) -> Any:
        if name not in self._values:
            if name not in self._file.declarations:
                raise BicepError(f"{self._file.path.name}: {name} is not declared")
            declaration = self._file.declarations[name]
            if declaration.kind == "var":
                self._values[name] = self._evaluate(declaration.value, {})
            else:
                self._values[name] = (
                    self._param(declaration) if declaration.kind == "param" else self._deployed(declaration)
                )
        return self._values[name]

    def _param(self, declaration: Declaration) -> Any:
        if declaration.name not in self._parameters and declaration.value is None:
            raise BicepError(f"{self._file.path.name} needs the parameter {declaration.name}")
        given = self._parameters.get(declaration.name)
        value: Any = self._evaluate(declaration.value, {}) if given is None else given
        wanted: type = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}[declaration.type]
        is_right = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
        if not is_right:
            raise BicepError(f"{self._file.path.name}: {declaration.name} is no {declaration.type}: {value!r}")
        for _, name, arguments, _ in declaration.decorators:
            limits = [self._evaluate(each, {}) for each in arguments]
            fits: dict[str, Callable[[Any], bool]] = {
                "allowed": lambda limit: value in limit,
                "minValue": lambda limit: value >= limit,
                "maxValue": lambda limit: value <= limit,
                "minLength": lambda limit: len(value) >= limit,
                "maxLength": lambda limit: len(value) <= limit,
            }
            if name in fits and not fits[name](limits[0]):
                raise BicepError(f"{self._file.path.name}: {declaration.name} must not be {value!r}")
        return value

    def _deployed(self, declaration: Declaration) -> Any:
        if declaration.loop is None:
            return self._one(declaration, {}, None)
        _, names, items = declaration.loop
        found = self._evaluate(items, {})
        return [
            self._one(declaration, dict(zip(names, (each, at), strict=False)), None) for at, each in enumerate(found)
        ]

    def _one(self, declaration: Declaration, scope: dict[str, Any], within: Resource | None) -> Resource | Module:
        takes_part = declaration.condition is None or self._evaluate(declaration.condition, scope)
        if declaration.kind == "module":
            return self._module(declaration, scope, takes_part=takes_part)
        assert declaration.value is not None
        entries = {key[1][0]: value for key, value in declaration.value[1]}
        meta = {key: self._evaluate(entries[key], scope) for key in _META & entries.keys() if key != "dependsOn"}
        parent = within or meta.get("parent")
        kind, _, version = declaration.type.partition("@")
        if within is not None:
            kind, version = f"{within.type}/{kind}", version or within.version
        body = self._evaluate(("object", [each for each in declaration.value[1] if each[0][1][0] not in _META]), scope)
        name = f"{parent.name}/{meta['name']}" if parent is not None else str(meta["name"])
        target = meta["scope"].id if isinstance(meta.get("scope"), Resource) else ""
        waits_for = self._evaluate(entries["dependsOn"], scope) if "dependsOn" in entries else []
        after = tuple(each.id for each in waits_for)
        found = Resource(kind, version, name, body, target, declaration.existing, after)
        if takes_part:
            self.deployed.append(found)
            for each in declaration.children:
                child = self._one(each, scope, found)
                assert isinstance(child, Resource)
                self._children[found.id, each.name] = child
        return found

    def _module(self, declaration: Declaration, scope: dict[str, Any], *, takes_part: bool) -> Module:
        def missing() -> Mapping[str, Any]:
            raise BicepError(f"the module {declaration.name} is not deployed, but its output is read")

        if not takes_part:
            return Module(missing)
        assert declaration.value is not None
        entries = {key[1][0]: value for key, value in declaration.value[1]}
        parameters = self._evaluate(entries["params"], scope)
        run = _Run(parse(self._file.path.parent / declaration.type), parameters)
        self.deployed += run.deployed
        return Module(run.outputs)

    def _evaluate(self, node: Node | None, scope: Mapping[str, Any]) -> Any:
        assert node is not None
        kind, *parts = node
        return getattr(self, f"_eval_{kind}")(scope, *parts)

    def _eval_literal(self, scope: Mapping[str, Any], value: Any) -> Any:
        return value

    def _eval_string(self, scope: Mapping[str, Any], parts: Sequence[Any]) -> str:
        return "".join(each if isinstance(each, str) else str(self._evaluate(each, scope)) for each in parts)

    def _eval_array(self, scope: Mapping[str, Any], items: Sequence[Node]) -> list[Any]:
        return [self._evaluate(each, scope) for each in items]

    def _eval_object(self, scope: Mapping[str, Any], entries: Sequence[tuple[Node, Node]]) -> dict[str, Any]:
        return {self._evaluate(key, scope): self._evaluate(value, scope) for key, value in entries}

    def _eval_name(self, scope: Mapping[str, Any], name: str, line: int) -> Any:
        return scope[name] if name in scope else self._value(name)

    def _eval_ternary(self, scope: Mapping[str, Any], condition: Node, yes: Node, no: Node) -> Any:
        return self._evaluate(yes if self._evaluate(condition, scope) else no, scope)

    def _eval_unary(self, scope: Mapping[str, Any], operator: str, operand: Node) -> Any:
        value = self._evaluate(operand, scope)
        return not value if operator == "!" else -value

    def _eval_binary(self, scope: Mapping[str, Any], operator: str, left: Node, right: Node) -> Any:
        first = self._evaluate(left, scope)
        if operator in {"&&", "||"}:
            return first if bool(first) is (operator == "||") else self._evaluate(right, scope)
        second = self._evaluate(right, scope)
        return {"==": lambda: first == second, "!=": lambda: first != second, "+": lambda: first + second}[operator]()

    def _eval_index(self, scope: Mapping[str, Any], of: Node, index: Node) -> Any:
        return self._evaluate(of, scope)[self._evaluate(index, scope)]

    def _eval_member(self, scope: Mapping[str, Any], of: Node, name: str) -> Any:
        value = self._evaluate(of, scope)
        if isinstance(value, Resource | Module | Runtime):
            return value.member(name)
        if name not in value:
            raise BicepError(f"{self._file.path.name}: there is no {name} in {sorted(value)}")
        return value[name]

    def _eval_child(self, scope: Mapping[str, Any], of: Node, name: str) -> Any:
        return self._children[self._evaluate(of, scope).id, name]

    def _eval_lambda(self, scope: Mapping[str, Any], names: Sequence[str], body: Node) -> Callable[..., Any]:
        return lambda *values: self._evaluate(body, {**scope, **dict(zip(names, values, strict=True))})

    def _eval_comprehension(self, scope: Mapping[str, Any], names: Sequence[str], items: Node, body: Node) -> list[Any]:
        found = self._evaluate(items, scope)
        return [
            self._evaluate(body, {**scope, **dict(zip(names, (each, at), strict=False))})
            for at, each in enumerate(found)
        ]

    def _eval_call(self, scope: Mapping[str, Any], name: str, arguments: Sequence[Node], of: Node | None) -> Any:
        values = [self._evaluate(each, scope) for each in arguments]
        if name in {"loadJsonContent", "loadTextContent"}:
            text = (self._file.path.parent / values[0]).read_text()
            return json.loads(text) if name == "loadJsonContent" else text
        if name not in FUNCTIONS or of is not None:
            raise BicepError(f"{self._file.path.name}: {name} is no known function")
        return FUNCTIONS[name](*values)
