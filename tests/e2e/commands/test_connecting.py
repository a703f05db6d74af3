"""Which app the command talks to, with which key, and what it does when the connection is lost."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.commands.command_lines import run
from tests.e2e.commands.installed import TIMEOUT_SECONDS, Installed
from tests.e2e.commands.stack import Seeded, Stack
from tests.support.dropping_proxy import dropping

pytestmark = [pytest.mark.one_worker("commands"), pytest.mark.waits, pytest.mark.timeout(900)]

OF_THE_APP = "azure psycopg2 yoyo api bootstrap controllers core engine repositories settings triggers"
FINDS = "import sys; from importlib.util import find_spec; print([name for name in sys.argv[1:] if find_spec(name)])"


def test_a_key_is_needed_and_a_wrong_one_is_refused(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("", "wrong"):
        monkeypatch.setenv("LOCKSTEP_KEY", key)
        assert "wrong" not in run("lockstep jobs", expected=4).err


def test_profiles_have_the_url_and_the_key(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"""
        default = "running"
        [profiles.running]
        url = "{stack.url}/api"
        key_env = "KEY_OF_THE_STACK"
        [profiles.refused]
        url = "{stack.url}"
        key = "wrong"
    """
    Path(os.environ["LOCKSTEP_PROFILES"]).write_text(text)
    monkeypatch.setenv("KEY_OF_THE_STACK", stack.key)
    run("lockstep --profile running queues")
    run("lockstep --profile refused queues", expected=4)
    monkeypatch.delenv("LOCKSTEP_URL")
    run("lockstep queues")
    rows = run("lockstep profiles --json").documents
    assert rows[0] == {"profile": "running", "url": f"{stack.url}/api", "has_key": True}
    assert stack.key not in run("lockstep profiles").out
    run("lockstep --profile nowhere queues", expected=2)


def test_a_read_and_a_watch_are_repeated_when_the_connection_is_lost(stack: Stack, it: Seeded) -> None:
    for line in (f"show {it.completed}", f"watch {it.completed}", f"results {it.completed}"):
        with dropping(stack.url, drops=1) as proxy:
            assert "trying again" in run(f"lockstep --url {proxy.url} {line}").err
            assert proxy.connections == 2


def test_a_submission_whose_connection_is_lost_makes_one_job(stack: Stack) -> None:
    with dropping(stack.url, drops=0) as proxy:
        run(f"lockstep --url {proxy.url} types")
        proxy.drops = 1
        run(f"lockstep --url {proxy.url} submit sample -p n=1 -p area=once")
    assert len(stack.get("jobs?text=once")["jobs"]) == 1


def test_a_change_is_sent_once_when_the_connection_is_lost(stack: Stack, it: Seeded) -> None:
    with dropping(stack.url, drops=1) as proxy:
        ran = run(f"lockstep --url {proxy.url} cancel {it.completed}", expected=3)
        assert proxy.connections == 1
    assert "cannot be reached" in ran.err


def test_an_app_that_is_not_there_has_an_exit_code(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen, and no other process gets its port
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert f"{closed} cannot be reached" in run(f"lockstep --url {closed} health", expected=3).err


def test_it_is_installed_without_the_packages_of_the_app(installed: Installed) -> None:
    found, _ = installed.run(f"python -c '{FINDS}' {OF_THE_APP} cli")
    assert found.strip() == "['cli']"
    out, _ = installed.run("lockstep jobs --type sample --json")
    assert out.startswith('{"job_id"')


def test_parameters_come_from_standard_input_and_progress_is_plain_lines(installed: Installed) -> None:
    out, err = installed.run("lockstep submit sample --json - --watch", stdin='{"n": 40, "area": "of a pipe"}')
    assert "40/40 tasks" in err
    assert "\x1b" not in out + err
    assert json.loads(out) == [None]  # the results of its only stage


def test_a_shell_completes_its_commands(installed: Installed) -> None:
    out, _ = installed.run("lockstep", _LOCKSTEP_COMPLETE="complete_bash", COMP_WORDS="lockstep dead", COMP_CWORD="1")
    assert out.split() == ["dead-letters"]


def test_ctrl_c_leaves_the_watched_job_running(installed: Installed, stack: Stack, it: Seeded) -> None:
    job_id = it.held
    with installed.start(f"lockstep watch {job_id}") as process:
        assert process.stderr is not None
        assert "sample processing" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert f"The job runs on. Watch it again: lockstep watch {job_id}" in err
    assert "Traceback" not in err
    assert stack.get(f"jobs/{job_id}")["status"] == "processing"
