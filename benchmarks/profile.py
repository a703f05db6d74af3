"""Where the time of a task goes: profiles of dispatch, engine, envelopes and drain by py-spy, as tables in Markdown.

py-spy samples the call stack of each thread, also of one that waits. A sample belongs to the innermost frame that a
rule knows; so a wait for PostgreSQL is a sample inside the cursor, with the name of the repository's method. The wait
for another thread is left out: what that thread does counts. So the sum is the time of all threads, not of a clock.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import text as machine_text
from benchmarks.markdown import markdown
from benchmarks.measure import ROOT
from benchmarks.servers import postgres_server
from local.service_bus.process import EmulatorProcess
from repositories.guarded_connection import GuardedCursor

NAME = "profile"

_RATE = 200
_LEAST_SHARE = 0.01

_RULES: Sequence[tuple[str, str]] = (
    (f"{GuardedCursor.__qualname__}.", "PostgreSQL"),
    ("(servicebus/_pyamqp/_transport.py", "the broker's socket"),
    ("(servicebus/", "the SDK of the broker"),
    ("(json/", "JSON"),
    ("(core/json_text.py", "JSON"),
    ("(threading.py", "threads"),
    ("(queue.py", "threads"),
    ("(concurrent/futures/", "threads"),
    ("(core/", "ids, batches, messages"),
    ("(engine/", "the engine's Python"),
    ("(repositories/", "rows to objects and back"),
    ("(controllers/", "controllers and handlers"),
    ("(benchmarks/", "controllers and handlers"),
    ("(local/functions_host/", "the local host's worker process"),
    ("(functions/", "the local host's worker process"),
)
"""A part of a frame, and where its time goes; the first that a frame has, from the innermost frame outwards."""

PARKED = (
    *("_worker (concurrent/futures/thread.py", "Watchdog._run (repositories/watchdog.py", "EpollSelector.select ("),
    *(
        "Condition.wait (threading.py",
        "Thread._wait_for_tstate_lock (",
        "Thread._bootstrap",
        "AMQPClient._keep_alive (",
    ),
    *("BrokerCalls._work (repositories/broker_calls.py", "Channel.receive (local/functions_host/protocol.py"),
)
"""The innermost frames of threads that have nothing to do, or wait for another one."""

_PREPARES = ("queued_batches (", "<frozen importlib", "create_stage (", "Bench.open (", "ServiceBusSender._open (")
"""Parts of the frames of what comes before the measured time."""


class Profiled(NamedTuple):
    """A line of a benchmark that is profiled.

    Attributes:
        module: runs it, see `benchmarks/line.py`.
        arguments: what it gets, beside `tasks` and the servers.
        within: parts of frames; a sample counts if it has one of them.
        process: part of the command line of the process whose samples count.
    """

    module: str
    arguments: Mapping[str, str]
    within: tuple[str, ...]
    process: str = "benchmarks.line"


PROFILES: Mapping[str, Profiled] = {
    "dispatch": Profiled(
        "benchmarks.dispatch_lines", {"line": "two_phase_1"}, ("lockstep (", "(engine/", "(servicebus/")
    ),
    "engine": Profiled("benchmarks.engine_lines", {"line": "worker_100"}, ("(engine/",)),
    "envelopes": Profiled("benchmarks.engine_lines", {"line": "envelope_100"}, ("(engine/",)),
    "drain": Profiled(
        "benchmarks.drain_stack", {}, ("(engine/", "(local/", "(functions/"), "functions_host.worker_main"
    ),
}


class Cost(NamedTuple):
    """Where time goes, in microseconds a task, and the share of all of it."""

    where: str
    microseconds: float
    share: float


def profile(directory: Path, tasks: int) -> Iterator[tuple[str, list[Cost]]]:
    """Runs each line under py-spy; writes `NAME.raw`, and yields the costs.

    Raises:
        FileNotFoundError: py-spy is not installed (requirements-bench.txt).
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, profiled in PROFILES.items():
        raw = (directory / f"{name}.raw").resolve()
        with postgres_server() as databases, databases.migrated() as url, EmulatorProcess.start() as emulator:
            servers = {"database_url": url, "service_bus": emulator.connection_string}
            _record(raw, profiled.module, {**profiled.arguments, **servers, "tasks": str(tasks)})
        yield name, costs(raw.read_text(), profiled, tasks)


def costs(text: str, profiled: Profiled, tasks: int, rate: int = _RATE) -> list[Cost]:
    """Adds up the samples of a raw profile by where their time goes, the most expensive first.

    Raises:
        ValueError: the profile has no such sample.
    """
    found: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        *processes, frames = stack.split('";')
        functions = frames.split(";")
        if (
            (not processes or profiled.process in processes[-1])
            and any(part in frames for part in profiled.within)
            and not any(part in frames for part in _PREPARES)
            and not functions[-1].startswith(PARKED)
        ):
            found[_where(functions)] += int(count)
    samples = sum(found.values())
    if not samples:
        raise ValueError(f"the profile has no sample of {' or '.join(profiled.within)}")
    return [Cost(where, 1e6 * n / rate / tasks, n / samples) for where, n in found.most_common()]


def rows_of(name: str, tasks: int, found: Sequence[Cost]) -> list[dict[str, Any]]:
    """The rows of one profile, as a JSON file has them."""
    return [{"benchmark": NAME, "line": name, "tasks": tasks, **each._asdict()} for each in found]


def tables(document: Mapping[str, Any]) -> dict[str, str]:
    """Renders each profile of a JSON file: a table, and the machine."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in document["rows"]:
        rows.setdefault(row["line"], []).append(row)
    return {
        name: "\n\n".join(
            [
                table([Cost(each["where"], each["microseconds"], each["share"]) for each in of_profile]),
                f"{of_profile[0]['tasks']:,} tasks; {machine_text(document['machine'])}",
            ]
        )
        for name, of_profile in rows.items()
    }


def table(found: Sequence[Cost]) -> str:
    """Returns a table in Markdown; what takes less than a hundredth is added up."""
    shown = [each for each in found if each.share >= _LEAST_SHARE]
    rest = [each for each in found if each.share < _LEAST_SHARE]
    if rest:
        shown.append(Cost("the rest", sum(each.microseconds for each in rest), sum(each.share for each in rest)))
    whole = Cost("all", sum(each.microseconds for each in found), 1.0)
    lines = [(each.where, f"{each.microseconds:.1f}", f"{each.share:.0%}") for each in (*shown, whole)]
    return markdown(("where", "us a task", "share"), lines)


def _where(functions: Sequence[str]) -> str:
    for index in range(len(functions) - 1, -1, -1):
        for part, where in _RULES:
            if part in functions[index]:
                return f"{where}: {_caller(functions[:index])}" if where == "PostgreSQL" else where
    return "other"


def _caller(functions: Sequence[str]) -> str:
    """The repository's method that runs a query; a transaction begins or ends where there is none."""
    for function in reversed(functions):
        if "(repositories/" in function and "Repository." in function:
            return f"`{function.partition(' ')[0].removeprefix('Postgres')}`"
    return "begin, commit"


def _record(raw: Path, module: str, arguments: Mapping[str, str]) -> None:
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        raise FileNotFoundError("py-spy is not installed: pip install -r requirements-bench.txt")
    options = ["--idle", "--subprocesses", "--function", "--rate", str(_RATE), "--format", "raw", "--output", str(raw)]
    line = [sys.executable, "-m", "benchmarks.line", module, json.dumps(arguments)]
    subprocess.run([program, "record", *options, "--", *line], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
