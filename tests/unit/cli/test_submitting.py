"""Jobs are submitted and watched; the exit code tells how they ended."""

import time
from pathlib import Path

import pytest

from client.answers import Job
from tests.support.drive import Stand
from tests.support.http_app import AppTransport
from tests.unit.cli.conftest import Run


def only_reads(transport: AppTransport) -> bool:
    return all(request.method == "GET" for request in transport.requests)


def test_a_job_is_submitted_and_its_id_is_all_of_standard_output(it: Stand, run: Run) -> None:
    ran = run("submit", "hello_world", "-p", "n=3", "-p", "name=42")

    job_id = ran.out.strip()
    assert ran.code == 0
    assert it.job(job_id).parameters.items() >= {"n": 3, "name": "42"}.items()
    assert f"lockstep watch {job_id}" in ran.err


def test_the_parameters_may_come_from_a_file_and_from_standard_input(it: Stand, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "parameters.json"
    file.write_text('{"n": 2}')
    assert it.job(run("submit", "hello_world", "--json", str(file)).out.strip()).parameters["n"] == 2
    from_input = run("submit", "hello_world", "--json", "-", "-p", "n=4", stdin='{"n": 3, "name": "you"}')
    assert it.job(from_input.out.strip()).parameters.items() >= {"n": 4, "name": "you"}.items()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-p", "n=0"], "n: 0 is less than the minimum of 1"),
        (["-p", "n=many"], "n: 'many' is not of type 'integer'"),
        ([], "n: is missing"),
        (["-p", "n=1", "-p", "nme=you"], "nme: is not known; name?"),
        (["-p", "n"], "a parameter is key=value"),
        (["--json", "/nowhere.json"], "/nowhere.json cannot be read: No such file"),
        (["--json", "-"], "standard input is not JSON"),
    ],
)
def test_wrong_parameters_are_named_and_not_sent(
    run: Run, transport: AppTransport, arguments: list[str], text: str
) -> None:
    ran = run("submit", "hello_world", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert text in ran.err
    assert only_reads(transport)


def test_an_unknown_job_type_is_answered_with_a_similar_one(run: Run, transport: AppTransport) -> None:
    ran = run("submit", "helo_world", "-p", "n=1")

    assert ran.code == 2
    assert "did you mean hello_world?" in ran.err
    assert only_reads(transport)


def test_the_same_job_is_submitted_once_and_with_another_key_again(run: Run) -> None:
    first, same = run("submit", "hello_world", "-p", "n=3"), run("submit", "hello_world", "-p", "n=3")
    other = run("submit", "hello_world", "-p", "n=3", "--idempotency-key", "again")

    assert first.out == same.out != other.out
    assert "existed already" in same.err
    assert "existed already" not in other.err


def test_a_job_may_wait_and_be_urgent(it: Stand, run: Run) -> None:
    first = run("submit", "hello_world", "-p", "n=3").out.strip()
    ran = run(
        "--json",
        "submit",
        "hello_world",
        "-p",
        "n=4",
        "--after",
        first,
        "--start-at",
        "2031-01-01T00:00:00",
        "--urgent",
    )

    (submission,) = ran.documents
    (job,) = run("show", submission["job_id"], "--json").documents
    assert (submission["status"], job["waits_for"]["after"], job["urgent"]) == ("waiting", [first], True)
    assert job["waits_for"]["start_at"].startswith(("2030-12-31", "2031-01-01"))


def test_a_watched_submission_shows_lines_and_ends_with_the_result(
    it: Stand, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: it.pump())

    ran = run("submit", "hello_world", "-p", "n=120", "--watch")

    assert ran.code == 0
    assert '"replies": 120' in ran.out
    assert "hello_world completed" in ran.err
    assert "120/120 tasks" in ran.err


def test_a_watch_for_machines_is_a_line_for_each_change(it: Stand, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: it.pump())
    job_id = it.submit("hello_world", n=3)

    ran = run("watch", job_id, "--json")

    jobs: list[Job] = ran.documents
    assert [job["status"] for job in jobs] == ["queued", "completed"]
    assert ran.err == ""


def test_ctrl_c_leaves_the_job_running_and_says_how_to_return(
    it: Stand, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    job_id = it.submit("hello_world", n=3)

    ran = run("watch", job_id)

    assert ran.code == 130
    assert f"The job runs on. Watch it again: lockstep watch {job_id}" in ran.err
    assert it.job(job_id).status == "queued"


def test_a_watch_that_takes_too_long_ends_and_the_job_does_not(it: Stand, run: Run) -> None:
    job_id = it.submit("hello_world", n=3)

    ran = run("watch", job_id, "--timeout", "-1")

    assert ran.code == 7
    assert "The job runs on" in ran.err


def test_a_timeout_that_is_no_number_is_a_usage_error(it: Stand, run: Run) -> None:
    ran = run("watch", it.submit("hello_world", n=3), "--timeout", "nan")
    assert (ran.code, "timeout_seconds is not a number" in ran.err) == (2, True)


def test_a_cancelled_job_has_an_exit_code_of_its_own(it: Stand, run: Run) -> None:
    job_id = it.submit("hello_world", n=3)
    run("cancel", job_id)
    assert run("watch", job_id).code == 6
