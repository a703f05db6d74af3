"""Benchmarks of their own kind: each is a command with options and a table of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmarks import ahead as ahead_benchmark
from benchmarks import broker as broker_benchmark
from benchmarks import isolation as isolation_benchmark
from benchmarks import limits as limits_benchmark
from benchmarks import long_tasks as long_tasks_benchmark
from benchmarks import payload as payload_benchmark
from benchmarks import telemetry as telemetry_benchmark
from benchmarks import typed_csv as typed_csv_benchmark
from benchmarks.hot_spots import hot_spots as hot_spots_of
from benchmarks.page import filled
from benchmarks.payload_places import PLACES
from benchmarks.report import print_table
from benchmarks.scale import page as scale_page

_SHOWN = 0.02  # the smallest fraction of the samples that is shown


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


def scale(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    page: Annotated[Path | None, typer.Option(help="fill this page with the tables, such as docs/scale.md")] = None,
) -> None:
    """Simulate 1 to 1,000 instances over a modelled broker and a modelled PostgreSQL; say what bounds them."""
    rows = scale_page.run()
    table = Table("line", *scale_page.HEADINGS)
    for row in rows:
        table.add_row(row["line"], *scale_page.texts(row))
    print_table(table, rows, json_file)
    if page is not None:
        page.write_text(filled(page.read_text(), scale_page.tables(rows)))


def telemetry(
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file as JSON")] = None,
    tasks: Annotated[int, typer.Option(help="no-op tasks of each run, in invocations of 100")] = 5_000,
    rounds: Annotated[int, typer.Option(help="runs of each line, interleaved")] = 5,
) -> None:
    """Measure what telemetry costs a worker: its CPU time a task."""
    rows = telemetry_benchmark.run(tasks, rounds)
    table = Table("line", "CPU, us/task", "least", "least / off", "peak RSS, MiB")
    for row in rows:
        table.add_row(
            *(row["line"], f"{row['cpu_us']:.1f}", f"{row['least_cpu_us']:.1f}", f"{row['ratio']:.2f}"),
            f"{row['peak_rss_mib']:.0f}",
        )
    print_table(table, rows, json_file)


def hot_spots(
    profile: Annotated[Path, typer.Argument(help="file from py-spy record --subprocesses --function --format raw")],
) -> None:
    """Show the functions in which the emulator spends its time while it handles what clients send."""
    table = Table("with callees", "alone", "function")
    for spot in hot_spots_of(profile, "local.service_bus", "AmqpConnection.data_received"):
        if spot.total >= _SHOWN:
            table.add_row(f"{spot.total:.1%}", f"{spot.alone:.1%}", spot.function)
    print_table(table, [], None)


COMMANDS: Sequence[Callable[..., None]] = (
    broker,
    isolation,
    long_tasks,
    limits,
    typed_csv,
    ahead,
    payload,
    scale,
    telemetry,
    hot_spots,
)
