"""`make bench`: every table within one time. The lines of these tests take no time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from benchmarks import __main__ as command_line
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.targets import Target, verdicts
from tests.unit.benchmarks.support import Bench


@contextmanager
def broken() -> Iterator[Lines]:
    raise OSError("no server")
    yield {}


SMALL = Bench().benchmark(tasks=100, repeats=1, least=Least(100, 1, 1))
BENCHMARKS: dict[str, Benchmark] = {
    "engine": replace(SMALL, lines=broken),
    "drain": replace(SMALL, least=Least(100, 1, seconds=600)),
    "latency": SMALL,
}


def run_all(monkeypatch: pytest.MonkeyPatch, directory: Path, *options: str) -> Result:
    monkeypatch.setattr(command_line, "BENCHMARKS", BENCHMARKS)
    tables = [option for name in BENCHMARKS for option in ("--table", name)]
    return CliRunner().invoke(command_line.cli, ["all", "--minutes", "1", "--directory", str(directory), *tables])


def document(directory: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / f"{name}.json").read_text())
    return found


def test_a_table_that_fails_and_one_without_time_say_so_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = run_all(monkeypatch, tmp_path)

    assert done.exit_code == 1
    assert document(tmp_path, "engine")["notes"] == {"left out": "it failed: OSError: no server"}
    assert document(tmp_path, "drain")["notes"] == {"left out": "it needs about 600 s, more than was left"}
    assert [row["line"] for row in document(tmp_path, "latency")["rows"]] == ["one", "other"]
    assert "left out: it needs about 600 s" in done.output


def test_the_targets_know_nothing_of_an_earlier_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_all(monkeypatch, tmp_path)
    earlier = (tmp_path / "latency.json").read_text()
    (tmp_path / "drain.json").write_text(earlier)
    target = Target("as fast", "drain", "one", "other", 0.1)
    assert [each.met for each in verdicts(tmp_path, [target])] == [True]

    run_all(monkeypatch, tmp_path)

    assert [each.met for each in verdicts(tmp_path, [target])] == [None]
