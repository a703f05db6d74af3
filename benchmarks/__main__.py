"""`python -m benchmarks NAME`: run a benchmark on real servers, which it starts and stops."""

import json
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks import ahead as ahead_benchmark
from benchmarks import broker as broker_benchmark
from benchmarks import cloud, dispatch, drain, engine, growth, inserts, latency
from benchmarks import isolation as isolation_benchmark
from benchmarks import limits as limits_benchmark
from benchmarks import long_tasks as long_tasks_benchmark
from benchmarks import payload as payload_benchmark
from benchmarks import pressure as pressure_benchmark
from benchmarks import profile as profile_benchmark
from benchmarks import typed_csv as typed_csv_benchmark
from benchmarks.hot_spots import hot_spots as hot_spots_of
from benchmarks.machine import describe
from benchmarks.measure import Row
from benchmarks.page import figures, filled, texts_of
from benchmarks.payload_places import PLACES
from benchmarks.peers import table as peers
from benchmarks.plots import plot
from benchmarks.report import print_table, show, write
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
_SHOWN = 0.02  # the smallest fraction of the samples that is shown

cli = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)


@cli.command()
def broker(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    messages: Annotated[int, typer.Option(help="messages per round, summed over all clients")] = 20_000,
    rounds: Annotated[int, typer.Option(help="runs, each on a fresh emulator; the median is reported")] = 5,
    clients: Annotated[int, typer.Option(help="client processes that run at the same time")] = 1,
) -> None:
    """Measure the throughput of the Service Bus emulator, and the CPU time of emulator and clients per message."""
    rows = broker_benchmark.run(messages, rounds, clients)
    table = Table("line", "clients", "messages", "messages/s", "emulator CPU, us", "client CPU, us", "ratio")
    for row in rows:
        table.add_row(
            *(row["line"], str(row["clients"]), f"{row['messages']:,}", f"{row['messages_per_second']:,.0f}"),
            *(f"{row['emulator_cpu_us']:.1f}", f"{row['client_cpu_us']:.1f}", f"{row['cpu_ratio']:.2f}"),
        )
    print_table(table, rows, json_file)


@cli.command()
def isolation(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    processes: Annotated[int, typer.Option(help="child processes, one after the other")] = 10,
    tasks: Annotated[int, typer.Option(help="tasks in each of them")] = 1_000,
    parameter_bytes: Annotated[int, typer.Option(help="the size of the parameters, and of the result")] = 1_000,
) -> None:
    """Measure what it costs to run a task in a child process."""
    rows = isolation_benchmark.run(processes, tasks, parameter_bytes)
    table = Table("task of a process", "parameters, bytes", "median, ms")
    for row in rows:
        table.add_row(row["line"], f"{row['parameter_bytes']:,}", f"{row['milliseconds']:.2f}")
    print_table(table, rows, json_file)


@cli.command()
def long_tasks(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    minutes: Annotated[float, typer.Option(help="how long the task takes")] = 16,
    directory: Annotated[Path, typer.Option(help="for the database and the logs")] = Path(".local/long_tasks"),
) -> None:
    """Run one long task in one piece, with locks that end before it, and in pieces."""
    rows = long_tasks_benchmark.run(minutes, directory)
    table = Table("", *(row["line"] for row in rows))
    for name in (name for name in rows[0] if name not in {"benchmark", "line"}):
        table.add_row(
            name.replace("_", " "), *(f"{row[name]:,.0f}" if name == "seconds" else str(row[name]) for row in rows)
        )
    print_table(table, rows, json_file)


@cli.command()
def limits(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    rounds: Annotated[int, typer.Option(help="runs of each line, interleaved; the median is reported")] = 100,
) -> None:
    """Measure what limits of task types add to the claim and the record of 100 tasks."""
    rows = limits_benchmark.run(rounds)
    table = Table("100 tasks", "claim, ms", "claim and record, ms")
    for row in rows:
        table.add_row(row["line"], f"{row['claim_ms']:.2f}", f"{row['both_ms']:.2f}")
    print_table(table, rows, json_file)


@cli.command()
def typed_csv(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    rows: Annotated[int, typer.Option(help="rows of the file, about 400 bytes each")] = 2_570_844,
    chunks: Annotated[int, typer.Option(help="tasks that load it")] = 129,
    directory: Annotated[Path, typer.Option(help="for the file and the stack's state")] = Path(".local/typed_csv"),
) -> None:
    """Load a large CSV file into a typed table through the local stack, and compare each row with the csv module."""
    row = typed_csv_benchmark.run(rows, chunks, directory)
    table = Table("rows", "MB", "tasks", "seconds", "rows/s", "peak RSS, MiB")
    peaks = ", ".join(f"{name} {mib:.0f}" for name, mib in row["peak_rss_mib"].items())
    table.add_row(
        *(f"{row['rows']:,}", f"{row['bytes'] / 1e6:,.0f}", str(row["chunks"]), f"{row['seconds']:.0f}"),
        *(f"{row['rows_per_second']:,.0f}", peaks),
    )
    print_table(table, [row], json_file)


@cli.command()
def ahead(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    tasks: Annotated[int, typer.Option(help="tasks in each of the two stages of the large job")] = 25_000,
    rounds: Annotated[int, typer.Option(help="runs with each bound, interleaved; the median is reported")] = 3,
    bound: Annotated[list[int] | None, typer.Option(help="a value of DISPATCH_AHEAD; may be repeated")] = None,
    share: Annotated[list[float] | None, typer.Option(help="when a small job is submitted, as a share")] = None,
    *,
    only_small: Annotated[bool, typer.Option(help="cancel the large job when the small one has ended")] = False,
) -> None:
    """Measure what DISPATCH_AHEAD costs a large job, and gains a small job that is submitted behind it."""
    bounds = bound or [1_000, 5_000, 10_000, 1_000_000]
    rows = ahead_benchmark.run(tasks, rounds, bounds, share or [1.0], only_small=only_small)
    table = Table("DISPATCH_AHEAD", "tasks", "tasks/s", "small job, s")
    for row in rows:
        rate, seconds = f"{row['tasks_per_second']:,.0f}", f"{row['small_job_seconds']:.1f}"
        table.add_row(f"{int(row['line']):,}", f"{row['tasks']:,}", rate, seconds)
    print_table(table, rows, json_file)


@cli.command()
def payload(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    tasks: Annotated[int, typer.Option(help="tasks of each job, in batches of 100")] = 200,
    rounds: Annotated[int, typer.Option(help="jobs of each line, interleaved; the median is reported")] = 5,
    sizes: Annotated[
        str, typer.Option(help="bytes of the parameters, and of the result")
    ] = "100,1000,1900,3000,10000,50000",
    places: Annotated[str, typer.Option(help="where the payload is")] = ",".join(PLACES),
) -> None:
    """Measure what the size of parameters and results costs, and compare places for them."""
    rows = payload_benchmark.run(tasks, rounds, [int(size) for size in sizes.split(",")], places.split(","))
    steps = [f"{step}, us" for step in payload_benchmark.STEPS]
    table = Table("place", "content", "bytes", *steps, "WAL, bytes", *payload_benchmark.SPACES, "dead tuples")
    for texts in payload_benchmark.table(rows):
        table.add_row(*texts)
    print_table(table, rows, json_file)


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


@cli.command()
def hot_spots(
    profile: Annotated[Path, typer.Argument(help="file from py-spy record --subprocesses --function --format raw")],
) -> None:
    """Show the functions in which the emulator spends its time while it handles what clients send."""
    table = Table("with callees", "alone", "function")
    for spot in hot_spots_of(profile, "local.service_bus", "AmqpConnection.data_received"):
        if spot.total >= _SHOWN:
            table.add_row(f"{spot.total:.1%}", f"{spot.alone:.1%}", spot.function)
    print_table(table, [], None)


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

if __name__ == "__main__":
    # So that the servers are stopped: PostgreSQL would survive this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cli()
