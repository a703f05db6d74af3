"""`python -m benchmarks NAME`: measures, on real servers that it starts itself."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import dispatch as dispatch_benchmark
from benchmarks import inserts as inserts_benchmark
from benchmarks.measure import Row

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
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    cli()
