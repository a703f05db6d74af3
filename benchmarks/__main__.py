"""`python -m benchmarks NAME`: measures, on real servers that it starts itself."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import broker as broker_benchmark
from benchmarks import dispatch as dispatch_benchmark
from benchmarks import inserts as inserts_benchmark
from benchmarks.hot_spots import hot_spots as hot_spots_of
from benchmarks.measure import Row

_SHOWN = 0.02  # of the samples: what takes less is not worth a line

cli = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)


@cli.command()
def dispatch(
    json_file: Annotated[Path | None, typer.Option("--json", help="where the rows are written as JSON")] = None,
    tasks: Annotated[int, typer.Option(help="tasks a line")] = 10_000,
    rounds: Annotated[int, typer.Option(help="runs of each line, interleaved; the median counts")] = 3,
) -> None:
    """Ways of writing rows and sending messages, side by side."""
    _print(dispatch_benchmark.run(tasks, rounds), json_file)


@cli.command()
def inserts(
    json_file: Annotated[Path | None, typer.Option("--json", help="where the rows are written as JSON")] = None,
    tasks: Annotated[int, typer.Option(help="rows a line")] = 10_000,
    rounds: Annotated[int, typer.Option(help="runs of each line, interleaved; the median counts")] = 3,
) -> None:
    """Ways of inserting a batch of task rows, side by side."""
    _print(inserts_benchmark.run(tasks, rounds), json_file)


@cli.command()
def broker(
    json_file: Annotated[Path | None, typer.Option("--json", help="where the rows are written as JSON")] = None,
    messages: Annotated[int, typer.Option(help="messages a round, over all clients")] = 20_000,
    rounds: Annotated[int, typer.Option(help="runs, each on a fresh emulator; the median counts")] = 5,
    clients: Annotated[int, typer.Option(help="client processes, side by side")] = 1,
) -> None:
    """The Service Bus emulator under the unmodified client: its speed, and who pays for it."""
    rows = broker_benchmark.run(messages, rounds, clients)
    table = Table("line", "clients", "messages", "messages/s", "emulator CPU, us", "client CPU, us", "ratio")
    for row in rows:
        table.add_row(
            *(row["line"], str(row["clients"]), f"{row['messages']:,}", f"{row['messages_per_second']:,.0f}"),
            *(f"{row['emulator_cpu_us']:.1f}", f"{row['client_cpu_us']:.1f}", f"{row['cpu_ratio']:.2f}"),
        )
    _show(table, rows, json_file)


@cli.command()
def hot_spots(
    profile: Annotated[Path, typer.Argument(help="written by py-spy with --subprocesses --function --format raw")],
) -> None:
    """Where the emulator spent the time that it took to handle what clients sent."""
    table = Table("with what it calls", "alone", "function")
    for spot in hot_spots_of(profile, "local.service_bus", "AmqpConnection.data_received"):
        if spot.total >= _SHOWN:
            table.add_row(f"{spot.total:.1%}", f"{spot.alone:.1%}", spot.function)
    Console().print(table)


def _print(rows: list[Row], json_file: Path | None) -> None:
    table = Table("line", "tasks", "tasks/s", "ratio", "peak RSS, MiB")
    for row in rows:
        table.add_row(
            row["line"],
            f"{row['tasks']:,}",
            f"{row['tasks_per_second']:,.0f}",
            f"{row['ratio']:.2f}",
            "-" if row["peak_rss_mib"] is None else f"{row['peak_rss_mib']:.0f}",
        )
    _show(table, rows, json_file)


def _show(table: Table, rows: Sequence[Mapping[str, Any]], json_file: Path | None) -> None:
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    cli()
