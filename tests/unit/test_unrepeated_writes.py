"""In the engine and in job types, `transact` opens transactions that write: it repeats those that lose a conflict."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FILES = sorted(
    path
    for folder in ("engine", "controllers")
    for path in (_ROOT / folder).rglob("*.py")
    if ".transaction(" in path.read_text()
)
_READS = {
    *("candidates", "candidates_after", "checkpoint", "counts", "dispatch_lease_expires_at"),
    *("ended_but_not_advanced", "ended_span", "ended_tasks", "errors", "failed_count", "first_errors", "fold"),
    *("get", "ids_of_batch"),
    *("limited_types", "live_batches", "newest", "now", "numbers", "of_ids", "of_job", "oldest", "page"),
    *(
        "page_of_job",
        "pending_of_stage",
        "progress_notes",
        "recent_ends",
        "reopened_at",
        "results_of_job",
        "results_page",
        "searched",
    ),
    *("since", "states", "unclaimed"),
    *("waiting_with_room", "with_job"),
}
_MAY_WRITE = {
    # It sends inside the transaction, which cannot be repeated then.
    "BatchSender.atomic",
}


def unrepeated_writes(source: str) -> dict[str, set[str]]:
    """The uses of transactions that may write, by the function that opens the transaction."""
    found: dict[str, set[str]] = {}
    for function, body in _functions(ast.parse(source).body):
        items = [item for node in ast.walk(body) if isinstance(node, ast.With) for item in node.items]
        opened = {id(item.context_expr) for item in items if isinstance(item.optional_vars, ast.Name)}
        calls = [node for node in ast.walk(body) if isinstance(node, ast.Call) and _opens(node)]
        uses = {ast.unparse(call) for call in calls if id(call) not in opened}
        for node in ast.walk(body):
            for item in node.items if isinstance(node, ast.With) else []:
                if _opens(item.context_expr) and isinstance(item.optional_vars, ast.Name):
                    uses |= set(_writes(node, item.optional_vars))
        if uses:
            found[function] = found.get(function, set()) | uses
    return found


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        else:
            yield prefix + getattr(node, "name", ""), node


def _opens(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "transaction"


def _writes(block: ast.AST, work: ast.Name) -> Iterator[str]:
    """Every use of the transaction that is not a call of a method that reads; to pass it on is one."""
    calls = [node for node in ast.walk(block) if isinstance(node, ast.Call)]
    methods = {id(_root(call.func)): call.func for call in calls if isinstance(call.func, ast.Attribute)}
    for node in ast.walk(block):
        if isinstance(node, ast.Name) and node.id == work.id and node is not work:
            method = methods.get(id(node))
            if method is None:
                yield node.id
            elif method.attr not in _READS:
                yield ast.unparse(method)


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.relative_to(_ROOT).as_posix())
def test_transactions_that_write_are_repeated_when_they_lose_a_conflict(path: Path) -> None:
    assert not {name: uses for name, uses in unrepeated_writes(path.read_text()).items() if name not in _MAY_WRITE}


def test_the_functions_that_may_write_do() -> None:
    assert {name for path in _FILES for name in unrepeated_writes(path.read_text())} >= _MAY_WRITE


_BLOCK = """
class Stages:
    def stop(self, key):
        with self._lock, self._database.transaction() as {name}:
            {name}.stages.get(key)
            {statement}
            send(queue, message)
"""


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("work.stages.stop(key)", {"work.stages.stop"}),
        ("stop(work, key)", {"work"}),
        ("later(lambda: work.stages.stop(key))", {"work.stages.stop"}),
        ("stages = work.stages", {"work"}),
        ("return work.now()", set()),
    ],
)
@pytest.mark.parametrize("name", ["work", "transaction"])
def test_a_write_that_is_not_repeated_is_seen(name: str, statement: str, found: set[str]) -> None:
    source = _BLOCK.format(name=name, statement=re.sub(r"\bwork\b", name, statement))
    seen = {use.replace(name, "work") for use in unrepeated_writes(source).get("Stages.stop", set())}
    assert seen == found


def test_a_transaction_without_a_name_is_seen() -> None:
    assert unrepeated_writes("work = stack.enter_context(database.transaction())") == {"": {"database.transaction()"}}
