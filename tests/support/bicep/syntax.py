"""Reads a Bicep file into statements and expressions, as far as the templates of infra/ use the language."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.bicep.tokens import BicepError, Token, tokens_of

Node = tuple[Any, ...]
"""An expression: its kind and its parts."""


@dataclass(frozen=True)
class Declaration:
    """A param, var, output, resource or module; `type` is a type's name, a resource's type or a module's path."""

    kind: str
    name: str
    line: int
    type: str = ""
    value: Node | None = None
    condition: Node | None = None
    loop: Node | None = None
    existing: bool = False
    decorators: tuple[Node, ...] = ()
    children: tuple["Declaration", ...] = ()


@dataclass
class File:
    """A parsed file."""

    path: Path
    scope: str = "resourceGroup"
    declarations: dict[str, Declaration] = field(default_factory=dict)

    def of(self, kind: str) -> list[Declaration]:
        return [each for each in self.declarations.values() if each.kind == kind]


_LITERALS = {"true": True, "false": False, "null": None}
_LEVELS = (("??",), ("||",), ("&&",), ("==", "!=", "=~"), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._children: list[Declaration] = []

    def peek(self, value: str | None = None, *, past_newlines: bool = False) -> bool:
        at = self._at
        while past_newlines and self._tokens[at].kind == "newline":
            at += 1
        token = self._tokens[at]
        return token.kind in {"symbol", "name"} and token.value == value

    def take(self, *expected: str) -> Token:
        token = self._tokens[self._at]
        if expected and (token.kind == "string" or token.value not in expected):
            raise BicepError(f"line {token.line}: {token.value!r} instead of {' or '.join(expected)}")
        self._at += 1
        return token

    def newlines(self) -> None:
        while self._tokens[self._at].kind == "newline":
            self._at += 1

    def at_end(self) -> bool:
        self.newlines()
        return self._tokens[self._at].kind == "end"

    def statement(self) -> Declaration:
        decorators = []
        while self.peek("@"):
            self.take("@")
            decorators.append(self.expression())
            self.newlines()
        token = self.take("param", "var", "output", "resource", "module", "targetScope")
        if token.value == "targetScope":
            self.take("=")
            return Declaration("targetScope", "targetScope", token.line, value=self.expression())
        name = self.take().value
        if token.value in {"resource", "module"}:
            return self._deployed(token, name, tuple(decorators))
        kind = "" if self.peek("=") else self._type()
        value = None
        if self.peek("="):
            self.take("=")
            value = self.expression()
        return Declaration(token.value, name, token.line, kind, value, decorators=tuple(decorators))

    def _type(self) -> str:
        return str(self.take("string", "int", "bool", "array", "object").value)

    def _deployed(self, token: Token, name: str, decorators: tuple[Node, ...]) -> Declaration:
        kind = "".join(self.take().value)
        existing = self.peek("existing")
        if existing:
            self.take("existing")
        self.take("=")
        condition = loop = None
        if self.peek("["):
            self.take("[")
            self.newlines()
            loop = self._for_head()
            self.newlines()
        if self.peek("if"):
            self.take("if")
            self.take("(")
            condition = self.expression()
            self.take(")")
        outer, self._children = self._children, []
        value = self._object()
        children, self._children = tuple(self._children), outer
        if loop is not None:
            self.newlines()
            self.take("]")
        return Declaration(token.value, name, token.line, kind, value, condition, loop, existing, decorators, children)

    def _for_head(self) -> Node:
        self.take("for")
        names = []
        if self.peek("("):
            self.take("(")
            names = [self.take().value]
            self.take(",")
            names.append(self.take().value)
            self.take(")")
        else:
            names = [self.take().value]
        self.take("in")
        items = self.expression()
        self.take(":")
        return ("for", names, items)

    def expression(self) -> Node:
        node = self._binary(0)
        if not self.peek("?", past_newlines=True):
            return node
        self.newlines()
        self.take("?")
        self.newlines()
        yes = self.expression()
        self.newlines()
        self.take(":")
        self.newlines()
        return ("ternary", node, yes, self.expression())

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while any(self.peek(each, past_newlines=True) for each in _LEVELS[level]):
            self.newlines()
            operator = self.take().value
            self.newlines()
            node = ("binary", operator, node, self._binary(level + 1))
        return node

    def _unary(self) -> Node:
        if self.peek("!") or self.peek("-"):
            return ("unary", self.take().value, self._unary())
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        while True:
            if self.peek("."):
                self.take(".")
                name = self.take().value
                node = ("call", name, self._arguments(), node) if self.peek("(") else ("member", node, name)
            elif self.peek("::"):
                self.take("::")
                node = ("child", node, self.take().value)
            elif self.peek("["):
                self.take("[")
                node = ("index", node, self.expression())
                self.take("]")
            elif self.peek("!"):
                self.take("!")
            else:
                return node

    def _primary(self) -> Node:
        brackets = {"{": self._object, "[": self._array, "(": self._parenthesis}
        token = self._tokens[self._at]
        if token.kind == "symbol" and token.value in brackets:
            return brackets[token.value]()
        if token.kind == "string":
            return self._string()
        self._at += 1
        if token.kind == "number" or token.value in _LITERALS:
            return ("literal", int(token.value) if token.kind == "number" else _LITERALS[token.value])
        if token.kind != "name":
            raise BicepError(f"line {token.line}: {token.value!r} is no expression")
        return self._named(token)

    def _string(self) -> Node:
        parts = self.take().value
        return ("string", [each if isinstance(each, str) else _Parser(_ended(each)).expression() for each in parts])

    def _named(self, token: Token) -> Node:
        if self.peek("("):
            return ("call", token.value, self._arguments(), None)
        if self.peek("=>"):
            self.take("=>")
            return ("lambda", [token.value], self.expression())
        return ("name", token.value, token.line)

    def _parenthesis(self) -> Node:
        """A parenthesis holds an expression, or the names of a lambda's arguments."""
        start = self._at
        self.take("(")
        names = []
        while self._tokens[self._at].kind == "name":
            names.append(self.take().value)
            if not self.peek(","):
                break
            self.take(",")
        if self.peek(")") and self._tokens[self._at + 1].value == "=>":
            self.take(")")
            self.take("=>")
            return ("lambda", names, self.expression())
        self._at = start
        self.take("(")
        node = self.expression()
        self.take(")")
        return node

    def _arguments(self) -> list[Node]:
        return self._list("(", ")", self.expression)

    def _list(self, opening: str, closing: str, item: Callable[[], Any]) -> list[Any]:
        """Items between brackets, which commas or newlines part."""
        self.take(opening)
        found = []
        self.newlines()
        while not self.peek(closing):
            found.append(item())
            if not self.peek(closing) and not self.peek(",") and self._tokens[self._at].kind != "newline":
                raise BicepError(f"line {self._tokens[self._at].line}: a comma or a new line is missing")
            if self.peek(","):
                self.take(",")
            self.newlines()
        self.take(closing)
        return found

    def _array(self) -> Node:
        start = self._at
        self.take("[")
        self.newlines()
        if self.peek("for"):
            head = self._for_head()
            self.newlines()
            node = ("comprehension", *head[1:], self.expression())
            self.newlines()
            self.take("]")
            return node
        self._at = start
        return ("array", self._list("[", "]", self.expression))

    def _object(self) -> Node:
        return ("object", [each for each in self._list("{", "}", self._entry) if each is not None])

    def _entry(self) -> tuple[Node, Node] | None:
        token = self._tokens[self._at]
        if token.value == "resource" and self._tokens[self._at + 1].kind == "name":
            self._children.append(self.statement())
            return None
        key: Node
        if token.kind == "string":
            key = self._string()
        elif token.kind == "name":
            key = ("string", [self.take().value])
        else:
            raise BicepError(f"line {token.line}: {token.value!r} is no key")
        self.take(":")
        return key, self.expression()


def _ended(tokens: list[Token]) -> list[Token]:
    return tokens if tokens[-1].kind == "end" else [*tokens, Token("end", None, tokens[-1].line)]


def parse(path: Path) -> File:
    """Reads a file.

    Raises:
        BicepError: the file is not Bicep, or declares a name twice.
    """
    parser = _Parser(tokens_of(path.read_text()))
    found = File(path)
    while not parser.at_end():
        statement = parser.statement()
        if statement.name in found.declarations and statement.kind != "output":
            raise BicepError(f"{path.name}: line {statement.line}: {statement.name} is declared twice")
        if statement.kind == "targetScope":
            assert statement.value is not None
            found.scope = statement.value[1][0]
        else:
            key = f"output {statement.name}" if statement.kind == "output" else statement.name
            found.declarations[key] = statement
    return found
