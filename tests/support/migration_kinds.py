"""Which statements of a migration do not lock a table for long, so that an older version of the app can go on."""

import re
from collections.abc import Iterator
from pathlib import Path

_CONSTANT = r"(?:'[^']*'(?:::\w+)?|-?[\d.]+|true|false|null|now\(\))"
_TYPE = r"\w+(?:[ ]?\([\d,]+[ ]?\d*\))?(?:\[\])?(?:\ collate\ \"\w+\")?"
_QUICK_ACTION = re.compile(
    rf"""add\ column\ (?:if\ not\ exists\ )?\w+\ (?!(?:small|big)?serial){_TYPE}
            (?:\ null|\ default\ {_CONSTANT}(?:\ not\ null)?|\ not\ null\ default\ {_CONSTANT})?
        | add\ constraint\ \w+\ .*\ not\ valid
        | drop\ constraint\ (?:if\ exists\ )?\w+
        | alter\ column\ \w+\ (?:set\ default\ {_CONSTANT}|drop\ default|drop\ not\ null)
        | set\ \([^)]*\)
    """,
    re.VERBOSE,
)
_VALIDATION = re.compile(r"alter table (?:only )?\w+ validate constraint (\w+)")
_CREATED_TABLE = re.compile(r"create table (?:if not exists )?(\w+) ?\(")
_INDEX = re.compile(r"create (?:unique )?index (concurrently )?(?:if not exists )?(\w+) on (\w+)")
_DROPPED_INDEX = re.compile(r"drop index concurrently if exists (\w+)")
_QUICK = re.compile(
    r"create type |create function |comment on |alter type \w+ add value |drop index concurrently if exists \w+$"
)
_WRITE = re.compile(r"(?:insert into|update|delete from) (\w+)")


def slow_statements(path: Path) -> list[str]:
    """Returns the statements that lock a table while they read, write or index it, or that cannot be repeated."""
    text = path.read_text()
    transactional = not re.search(r"^-- transactional: *false", text, re.MULTILINE | re.IGNORECASE)
    statements = list(_statements(text))
    created = {match[1] for match in map(_CREATED_TABLE.match, statements) if match}
    return [
        statement
        for number, statement in enumerate(statements)
        if not (
            _is_index(statement, created, statements[:number])
            if _INDEX.match(statement)
            else _is_quick(statement, created, text, transactional=transactional)
        )
    ]


def _is_quick(statement: str, created: set[str], text: str, *, transactional: bool) -> bool:
    if not transactional:
        return bool(_DROPPED_INDEX.fullmatch(statement))
    if _CREATED_TABLE.match(statement) or _QUICK.match(statement):
        return True
    if validated := _VALIDATION.fullmatch(statement):
        # In one transaction, the table stays locked from the ADD CONSTRAINT on.
        return not re.search(rf"add constraint {validated[1]}\b", text, re.IGNORECASE)
    if written := _WRITE.match(statement):
        return written[1] in created
    altered = re.match(r"alter table (?:if exists )?(?:only )?(\w+) (.*)", statement)
    return altered is not None and (
        altered[1] in created or all(_QUICK_ACTION.fullmatch(action) for action in _actions(altered[2]))
    )


def _is_index(statement: str, created: set[str], before: list[str]) -> bool:
    match = _INDEX.match(statement)
    assert match
    concurrently, name, table = match.groups()
    if not concurrently:
        return table in created
    # A build that failed leaves an invalid index under the name; the next try must not stop at it.
    return name in {dropped[1] for dropped in map(_DROPPED_INDEX.fullmatch, before) if dropped}


def _statements(text: str) -> Iterator[str]:
    """Yields the statements in lower case, without comments, on one line."""
    bare = re.sub(r"--[^\n]*", " ", text)
    for part in re.findall(r"(?:\$\$.*?\$\$|[^;']|'[^']*')+", bare, re.DOTALL):
        statement = " ".join(part.split()).lower()
        if statement:
            yield statement


def _actions(text: str) -> list[str]:
    """Splits the actions of an ALTER TABLE at the commas outside of parentheses and quotes."""
    return [each.strip() for each in re.findall(r"(?:[^,'(]|'[^']*'|\((?:[^()]|\([^()]*\))*\))+", text)]
