"""Splits Bicep into tokens. Strings stay whole, with what their interpolations hold."""

import re
from dataclasses import dataclass
from typing import Any


class BicepError(Exception):
    """The text is not Bicep, as far as these templates use it."""


@dataclass(frozen=True)
class Token:
    """Kind is one of name, number, string, symbol, newline and end; the value of a string is a list of its parts."""

    kind: str
    value: Any
    line: int


_SPACE = re.compile(r"(?:[ \t\r]|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"\d+")
_SYMBOL = re.compile(r"=>|==|!=|=~|<=|>=|&&|\|\||\?\?|\.\?|::|[{}\[\]().,:=<>!?+\-*/%@]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "'": "'", "\\": "\\", "$": "$"}


def tokens_of(text: str, line: int = 1) -> list[Token]:
    """Returns the tokens of a text.

    Raises:
        BicepError: a character fits nothing.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            line += space.group().count("\n")
            at = space.end()
        elif text[at] == "\n":
            found.append(Token("newline", "\n", line))
            line, at = line + 1, at + 1
        elif text.startswith("'''", at):
            end = text.index("'''", at + 3)
            found.append(Token("string", [text[at + 3 : end].removeprefix("\n")], line))
            line, at = line + text.count("\n", at, end), end + 3
        elif text[at] == "'":
            parts, at = _string(text, at + 1, line)
            found.append(Token("string", parts, line))
        else:
            for kind, pattern in (("name", _NAME), ("number", _NUMBER), ("symbol", _SYMBOL)):
                if match := pattern.match(text, at):
                    found.append(Token(kind, match.group(), line))
                    at = match.end()
                    break
            else:
                raise BicepError(f"line {line}: {text[at]!r} is unexpected")
    return [*found, Token("end", None, line)]


def _string(text: str, at: int, line: int) -> tuple[list[Any], int]:
    """Returns the parts of a string, texts and lists of tokens in turn, and where it ends."""
    parts: list[Any] = [""]
    while text[at] != "'":
        if text[at] == "\n":
            raise BicepError(f"line {line}: a string has no end")
        if text[at] == "\\":
            if text[at + 1] not in _ESCAPES:
                raise BicepError(f"line {line}: \\{text[at + 1]} is no escape")
            parts[-1] += _ESCAPES[text[at + 1]]
            at += 2
        elif text.startswith("${", at):
            end = _interpolation_end(text, at + 2)
            parts += [tokens_of(text[at + 2 : end], line), ""]
            at = end + 1
        else:
            parts[-1] += text[at]
            at += 1
    return parts, at + 1


def _interpolation_end(text: str, at: int) -> int:
    depth = 0
    while depth or text[at] != "}":
        if text[at] == "'":
            _, at = _string(text, at + 1, 0)
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at
