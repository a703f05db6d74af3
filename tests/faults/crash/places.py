import ast
from collections.abc import Iterator
from pathlib import Path

import engine

_OPENERS = {"transaction", "transact", "send", "send_job_message", "batch_send_messages"}
_HELPERS = {"sending.py", "shared_sends.py"}
_READERS = ("_reader.py", "_lister.py")
"""How the names of files end that answer `GET`: they write and send nothing, and no message waits for them."""

ELSEWHERE = {
    "Recorder._try_to",  # keeps or releases leases while PostgreSQL is unavailable; its errors are ignored
    "Pruner.prune",  # deletes only jobs that ended long ago, and finds the rest again
    "Pruner._job",
    "reschedule",  # only after a lasting fault of the engine; a kill around its send leaves messages twice
    *("BulkActions.count", "BulkActions.newest"),  # read only
    "BulkActions._tell",  # writes only why a job cannot be changed; a slice that is cut off before it asks again
    # Exists where both transports are connected; it reads, and sends where its caller sends.
    *("TransportRouter.batch_send_messages", "TransportRouter._read"),
    "tell_backlog",  # reads only, while telemetry is on
    "JobSecrets.of_task",  # reads only, for a type with secret parameters; the job of these trials has none
}
"""The places that no scenario passes."""


def places() -> set[str]:
    """The functions of the engine that open a transaction or send, read from its source."""
    found: set[str] = set()
    for path in Path(engine.__path__[0]).rglob("*.py"):
        if path.name not in _HELPERS and not path.name.endswith(_READERS):
            found.update(_places(ast.parse(path.read_text()), ""))
    return found


def _places(node: ast.AST, outer: str) -> Iterator[str]:
    """Functions by qualified name; nested functions belong to the outer one."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _places(child, f"{outer}{child.name}.")
        elif isinstance(child, ast.FunctionDef) and any(_opens(each) for each in ast.walk(child)):
            yield f"{outer}{child.name}"


def _opens(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in _OPENERS
