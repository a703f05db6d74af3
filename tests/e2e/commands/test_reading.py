"""Every command that reads, with every option, as documents and as a table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.commands.command_lines import attempt, run
from tests.e2e.commands.stack import Seeded, Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.one_worker("commands"), pytest.mark.waits, pytest.mark.timeout(900)]

Documents = list[Any]

FILTERED = (
    "lockstep jobs --type sample --status completed --from 2020-01-01 --before 2090-01-01 --text north --limit 5 --json"
)


def _of(found: Documents, name: str) -> list[Any]:
    return [each[name] for each in found]


READS: list[tuple[str, Callable[[Documents, Seeded], bool]]] = [
    (FILTERED, lambda found, it: _of(found, "job_id") == [it.completed]),
    ("lockstep show {completed} --json", lambda found, it: found[0]["stages"][0]["tasks"]["completed"] == 120),
    ("lockstep batches {completed} --limit 1 --json", lambda found, it: _of(found, "task_count") == [100]),
    (
        "lockstep tasks {partial} --failed --payload --limit 2 --json",
        lambda found, it: found[1]["parameters"]["place"] == 1,
    ),
    ("lockstep tasks {completed} --status completed --limit 0 --json", lambda found, it: len(found) == 120),
    ("lockstep tasks {partial} --error {group} --json", lambda found, it: it.task in _of(found, "task_id")),
    ("lockstep tasks {partial} --batch {batch} --json", lambda found, it: len(found) == 40),
    ("lockstep task {task} --json", lambda found, it: "has no" in found[0]["error"]["message"]),
    ("lockstep failures {partial} --all --json", lambda found, it: _of(found, "tasks") == [2, 2]),
    ("lockstep events {completed} --follow --json", lambda found, it: found[-1]["kind"] == "completed"),
    ("lockstep types sample --json", lambda found, it: found[0]["parameters"]["properties"].keys() >= {"n", "area"}),
    ("lockstep types --json", lambda found, it: set(_of(found, "name")) == {"sample", "many"}),
    ("lockstep queues --json", lambda found, it: {"sb-jobs", "sb-tasks"} <= set(_of(found, "queue"))),
    ("lockstep schedules --json", lambda found, it: _of(found, "name") == ["nightly"]),
    (
        "lockstep dead-letters --state kept --limit 50 --json",
        lambda found, it: it.letter in _of(found, "dead_letter_id"),
    ),
    ("lockstep dead-letters show {letter} --json", lambda found, it: found[0]["body"] == "not of Lockstep"),
]


@pytest.mark.parametrize(("line", "is_right"), READS, ids=[line for line, _ in READS])
def test_what_is_read_is_a_document_a_line_or_a_table(
    it: Seeded, line: str, is_right: Callable[[Documents, Seeded], bool]
) -> None:
    line = line.format(**vars(it))
    assert is_right(run(line).documents, it)

    table = run(line.removesuffix(" --json"))
    assert table.out.strip()
    assert not table.out.startswith("{")


def test_the_health_is_a_document_or_a_line() -> None:
    """On a busy machine a part may not answer in time; then the next check finds it healthy."""
    wait_until(lambda: attempt("lockstep health --json").code == 0)
    wait_until(lambda: attempt("lockstep health").code == 0)
    assert json.loads(attempt("lockstep health --json").out)["checks"].keys() >= {"database", "broker"}
    assert not attempt("lockstep health").out.startswith("{")


def test_the_option_before_the_command_asks_for_documents_too(it: Seeded) -> None:
    before, after = f"lockstep --json show {it.completed}", f"lockstep show {it.completed} --json"
    assert run(before).documents == run(after).documents


def test_the_results_of_a_stage_go_to_a_file_and_on_after_an_index(it: Seeded, tmp_path: Path) -> None:
    file = tmp_path / "out.ndjson"
    run(f"lockstep results {it.completed} --output {file}")
    run(f"lockstep results {it.completed} --stage 1 --after 117 -o {file}")
    indexes = [json.loads(line)["task_index"] for line in file.read_text().splitlines()]
    assert indexes == [*range(120), 118, 119]
    assert run(f"lockstep results {it.completed} --csv").out.startswith("task_id,task_index")


def test_the_page_that_is_opened_is_there(it: Seeded, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    ran = run(f"lockstep open {it.completed}")
    assert opened == [ran.out.strip()] == [f"{stack.url}/api/monitor#/jobs/{it.completed}"]
    page = httpx.get(opened[0], trust_env=False, timeout=60)
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (200, "text/html")
