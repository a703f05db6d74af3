"""A new user finds out why three of 5,000 tasks failed, mends the cause, retries only those, and reads the results.

`make walkthrough` runs it with LOCKSTEP_WALKTHROUGH, and so records docs/walkthrough.md anew.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT
from tests.e2e.conftest import RunningApp, running_steadily
from tests.e2e.walkthrough import page
from tests.e2e.walkthrough.pictures import Take, camera
from tests.e2e.walkthrough.steps import GROUP, JOB_ID, LOST, STEPS, TASK_ID, Step
from tests.e2e.walkthrough.terminal import Ran, Terminal

pytestmark = [pytest.mark.waits, pytest.mark.timeout(1_200)]

_RECORDS = "LOCKSTEP_WALKTHROUGH" in os.environ
_IDS = {
    JOB_ID: re.compile(r"\b[0-9a-f]{32}\b"),
    GROUP: re.compile(r"^[0-9a-f]{16}\b", re.MULTILINE),
    TASK_ID: re.compile(r"\b[0-9a-f]{32}-s\d\d-t\d{7}\b"),
}


class Walk:
    """Runs the steps, and keeps what they have shown.

    Attributes:
        screens: what the commands of each step have left on the screen, by the name of the step.
        ran: the commands of each step as they were run, each with its screen.
        rows: the tasks of the job before each step, by id, without those of a step before the job.
    """

    def __init__(self, app: RunningApp, terminal: Terminal, take: Take | None) -> None:
        self._app = app
        self._terminal = terminal
        self._take = take
        self._ids: dict[str, str] = {}
        self.screens: dict[str, str] = {}
        self.ran: dict[str, list[tuple[str, str]]] = {}
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}

    def go(self) -> None:
        for each in STEPS:
            if isinstance(each, Step):
                self._run(each)
            elif self._take is not None:
                self._take(each, self._filled(each.place))

    def tasks(self) -> dict[str, dict[str, Any]]:
        return {task["task_id"]: task for task in self._app.client.tasks(self._ids[JOB_ID])}

    def _run(self, step: Step) -> None:
        if step.name == "retry":
            self.rows[step.name] = self.tasks()
        ran: list[tuple[str, str]] = []
        for command, code in zip(map(self._filled, step.commands), step.codes, strict=True):
            result = self._terminal.run(command)
            assert result.code == code, result.screen
            self._learn_ids(result)
            ran.append((command, result.screen))
        self.ran[step.name] = ran
        self.screens[step.name] = "\n".join(screen for _, screen in ran)

    def _learn_ids(self, result: Ran) -> None:
        found = {name: pattern.search(result.screen) for name, pattern in _IDS.items()}
        self._ids = {name: each[0] for name, each in found.items() if each} | self._ids

    def _filled(self, text: str) -> str:
        for name, value in self._ids.items():
            text = text.replace(name, value)
        return text


@pytest.fixture
def app(database_url: str, steady_config: Path, tmp_path: Path) -> Iterator[RunningApp]:
    """A stack whose DATA_DIR is the directory `samples` of the one in which the commands run."""
    environment = {"DATA_DIR": str(tmp_path / "samples"), "WEBSITE_INSTANCE_ID": page.WORKER}
    with running_steadily(database_url, steady_config, tmp_path / "functions.log", **environment) as app:
        yield app


@pytest.fixture
def walk(app: RunningApp, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    environment = {
        "LOCKSTEP_URL": app.host.base_url,
        "LOCKSTEP_PROFILES": str(tmp_path / "profiles.toml"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "TZ": "UTC",
    }
    terminal = Terminal(tmp_path, tmp_path_factory.mktemp("programs"), environment)
    with camera(app.host.base_url, page.PICTURES if _RECORDS else tmp_path) as take:
        assert take or not _RECORDS, "make chromium"
        yield Walk(app, terminal, take)


def test_a_new_user_finds_three_failed_tasks_and_retries_only_those(walk: Walk, tmp_path: Path) -> None:
    walk.go()
    if _RECORDS:
        page.write(page.PAGE, {name: page.block(ran) for name, ran in walk.ran.items()})
    assert re.match(r"Job [0-9a-f]{32}\n", walk.screens["submit"])
    assert "3 failed" in walk.screens["submit"]
    assert walk.screens["submit"].endswith("\n5")
    assert re.search(r"finished +5,000 +4,997 +3 ", walk.screens["show"])
    assert len(re.findall(r"^[0-9a-f]{16} +3 +MissingFileError", walk.screens["failures"], re.MULTILINE)) == 1
    for name in LOST:
        assert name in without_breaks(walk.screens["tasks"])
    assert LOST[0] in without_breaks(walk.screens["task"])
    assert walk.screens["retry"].endswith("\n0")
    assert "retried" in walk.screens["events"]

    assert run_again(walk.rows["retry"], walk.tasks()) == [416, 2_207, 4_974]
    results = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert [result["task_index"] for result in results] == list(range(5_000))
    assert {result["status"] for result in results} == {"completed"}

    shown = page.commands(page.PAGE.read_text(encoding="utf-8"))
    assert shown == {name: [command for command, _ in ran] for name, ran in walk.ran.items()}, "make walkthrough"


def test_the_page_shows_the_steps_in_their_order() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.order(text) == [each.name for each in STEPS]


def test_the_readme_has_commands_of_the_steps_in_their_order() -> None:
    block = re.search(r"\n## Walkthrough\n.*?```sh\n(.*?)```", page.README.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    activation, *typed = [re.split(r"\s+# ", line)[0] for line in block[1].splitlines()]
    assert activation == ". .venv/bin/activate"
    assert typed == [
        command for each in STEPS if isinstance(each, Step) for command in each.commands if command in typed
    ]


def without_breaks(screen: str) -> str:
    return "".join(screen.split())


def run_again(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> list[int]:
    """The indexes of the tasks that have been sent or run since."""
    members = ("sends", "attempt", "failures", "started_at", "finished_at", "status")
    return sorted(
        task["task_index"]
        for task_id, task in after.items()
        if any(task[name] != before[task_id][name] for name in members)
    )
