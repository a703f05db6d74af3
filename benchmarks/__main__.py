"""`python -m benchmarks NAME`: run a benchmark on real servers, which it starts and stops."""

import json
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import cloud, dispatch, drain, engine, growth, inserts, latency
from benchmarks import pressure as pressure_benchmark
from benchmarks import profile as profile_benchmark
from benchmarks.machine import describe
from benchmarks.measure import Row
from benchmarks.own_kind import COMMANDS
from benchmarks.page import figures, filled, texts_of
from benchmarks.peers import table as peers
from benchmarks.plots import plot
from benchmarks.report import show, write
from benchmarks.rounds import Benchmark, run, with_lines
from benchmarks.shares import Need, Share, shares
from benchmarks.targets import judged, verdicts
from benchmarks.time_limit import TooLittleTimeError, run_within

BENCHMARKS: Mapping[str, Benchmark] = {
    "dispatch": dispatch.BENCHMARK,
    "engine": engine.BENCHMARK,
    "drain": drain.BENCHMARK,
    "latency": latency.BENCHMARK,
    "peers": peers.BENCHMARK,
    "cloud": cloud.BENCHMARK,
    "growth": growth.BENCHMARK,
    "inserts": inserts.BENCHMARK,
}
"""The tables of `make bench`, each a command with `--tasks`, `--repeats` and `--json`; and *pressure*."""

PRESSURE = pressure_benchmark.NAME

UNITS = {**{name: benchmark.unit for name, benchmark in BENCHMARKS.items()}, PRESSURE: "tasks/s"}
"""Of each table."""

_HERE = Path(__file__).parent

cli = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)


@cli.command()
def pressure(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    minutes: Annotated[float, typer.Option(help="how long the load goes on, once the backlog is written")] = 15.0,
    backlog: Annotated[int, typer.Option(help="ended tasks of the line backlog")] = pressure_benchmark.BACKLOG,
) -> None:
    """Compare claim and record under pressure with an empty table."""
    machine = describe()
    rows = pressure_benchmark.run(minutes, backlog)
    notes = pressure_benchmark.notes(rows)
    print(figures({"rows": rows, "notes": notes, "machine": machine}, UNITS[PRESSURE]))
    write(json_file, rows, notes, machine)


@cli.command("profile")
def profile_all(
    tasks: Annotated[int, typer.Option(help="tasks of each run")] = 20_000,
    directory: Annotated[Path, typer.Option(help="for the raw profiles")] = Path(".local/benchmarks/profiles"),
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
) -> None:
    """Profile dispatch, engine, envelopes and drain by py-spy; print where each microsecond of a task goes."""
    machine = describe()
    rows: list[dict[str, Any]] = []
    for name, found in profile_benchmark.profile(directory, tasks):
        print(f"## {name}, {tasks:,} tasks\n\n{profile_benchmark.table(found)}\n", flush=True)
        rows += profile_benchmark.rows_of(name, tasks, found)
        write(json_file, rows, {}, machine)


def _command(name: str, benchmark: Benchmark) -> Callable[..., None]:
    def command(
        json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
        tasks: Annotated[int, typer.Option(help="tasks of each run")] = benchmark.tasks,
        repeats: Annotated[
            int, typer.Option("--repeats", "--rounds", help="runs of each line, interleaved; the median is reported")
        ] = benchmark.repeats,
        line: Annotated[list[str] | None, typer.Option(help="this line and its reference; may be repeated")] = None,
    ) -> None:
        machine = describe()
        chosen = with_lines(benchmark, line) if line else benchmark
        rows, notes = run(name, chosen, tasks, repeats), benchmark.notes()
        show(rows, notes, machine, benchmark.unit)
        write(json_file, rows, notes, machine)

    command.__doc__ = benchmark.lines.__doc__
    return command


@cli.command("all")
def run_all(
    minutes: Annotated[float, typer.Option(help="about how long all benchmarks together may take")] = 30.0,
    directory: Annotated[Path, typer.Option(help="for a JSON file of each benchmark")] = Path(".local/benchmarks"),
    table: Annotated[list[str] | None, typer.Option(help="this table alone; may be repeated")] = None,
) -> None:
    """Run every table with as many tasks and rounds as the time allows; leave out those for which it is too short."""
    directory.mkdir(parents=True, exist_ok=True)
    needs = {**{name: benchmark.need for name, benchmark in BENCHMARKS.items()}, PRESSURE: pressure_benchmark.NEED}
    chosen = [(name, needs[name]) for name in table or needs]
    for name, _ in chosen:
        (directory / f"{name}.json").unlink(missing_ok=True)  # of an earlier run
    failed = False
    for name, share in shares(chosen, 60 * minutes):
        machine = describe()
        rows, notes, failed_here = _within(name, share, needs[name])
        failed |= failed_here
        print(f"\n## {name}\n\n{figures({'rows': rows, 'notes': notes, 'machine': machine}, UNITS[name])}", flush=True)
        write(directory / f"{name}.json", rows, notes, machine)
    raise typer.Exit(int(failed))


def _within(name: str, share: Share | None, need: Need) -> tuple[list[Row], Mapping[str, str], bool]:
    """Returns the rows of a table and their notes, or why there are none, and whether that is a failure."""
    try:
        if share is None:
            return [], {"left out": f"it needs about {need.seconds:,.0f} s, more than was left"}, False
        if name == PRESSURE:
            rows = pressure_benchmark.run_within(share.seconds)
            return rows, pressure_benchmark.notes(rows), False
        return run_within(name, BENCHMARKS[name], share), BENCHMARKS[name].notes(), False
    except TooLittleTimeError as exc:
        return [], {"left out": str(exc)}, False
    except Exception as exc:  # noqa: BLE001 - the tables after it still run; the command fails at its end
        traceback.print_exc()
        return [], {"left out": f"it failed: {type(exc).__name__}: {exc}"}, True


@cli.command("plot")
def plot_all(
    directory: Annotated[Path, typer.Option(help="with the JSON files")] = Path(".local/benchmarks"),
) -> None:
    """Plot each JSON file of a directory as a PNG beside it."""
    for name, unit in UNITS.items():
        json_file = directory / f"{name}.json"
        if json_file.exists() and json.loads(json_file.read_text())["rows"]:
            print(plot(json_file, unit))


@cli.command()
def tables(
    directory: Annotated[Path, typer.Option(help="with the JSON files")] = Path(".local/benchmarks"),
) -> None:
    """Print the JSON files of a directory as `fill` writes them: tables, targets and profiles."""
    for name, text in texts_of(directory, UNITS).items():
        print(f"## {name}\n\n{text}\n")


@cli.command()
def fill(
    directory: Annotated[Path, typer.Option(help="with the JSON files")] = _HERE / "results",
    page: Annotated[Path, typer.Option(help="the page with the places")] = _HERE / "README.md",
) -> None:
    """Fill the page of benchmarks with the JSON files of a directory: tables, targets and profiles."""
    texts = texts_of(directory, UNITS)
    page.write_text(filled(page.read_text(), texts))
    print(f"{page} has the figures of {', '.join(texts) or 'no benchmark'}")


@cli.command()
def targets(
    directory: Annotated[Path, typer.Option(help="with the JSON files")] = Path(".local/benchmarks"),
) -> None:
    """Compare the JSON files of a directory with the targets; print a table in Markdown."""
    print(judged(verdicts(directory)))


for each in BENCHMARKS.items():
    cli.command(each[0])(_command(*each))
for command in COMMANDS:
    cli.command()(command)

if __name__ == "__main__":
    # So that the servers are stopped: PostgreSQL would survive this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cli()
