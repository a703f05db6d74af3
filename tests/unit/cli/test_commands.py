"""The commands that read and change jobs, over the real routes."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands import about
from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from core.errors import PermanentTaskError
from repositories.ports import DeadLetter
from tests.support.drive import Stand, stand
from tests.support.http_app import AppTransport, use_app
from tests.support.sample_jobs import counted, sample_job
from tests.unit.cli.conftest import Run, run_command

ESCAPE = "\x1b[31mred"
is_fixed = False


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if parameters["n"] % 10 == 3 and not is_fixed:
        raise PermanentTaskError(f"no coordinates {ESCAPE}" if parameters["n"] < 20 else "no name")
    return parameters["n"]


class Sample(sample_job(counted(30), work)):  # type: ignore[misc] # a class that a function makes
    stages = (lockstep.StageSpec("only", max_failed_fraction=0.5),)


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, Sample) as it:
        use_app(it, monkeypatch)
        yield it


@pytest.fixture
def failed(it: Stand) -> str:
    """A job three of whose 30 tasks failed, of two causes."""
    job_id = it.submit("sample")
    it.pump()
    return job_id


def test_failures_are_grouped_and_one_cause_is_retried(
    it: Stand, run: Run, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run("failures", failed, "--json")
    assert [(group["tasks"], group["message"].split()[1]) for group in ran.documents] == [
        (2, "coordinates"),
        (1, "name"),
    ]
    group = ran.documents[0]["error"]
    assert group in run("failures", failed).out
    assert f"lockstep retry {failed} --error {group}" in run("failures", failed).err

    monkeypatch.setattr(f"{__name__}.is_fixed", True)
    assert run("retry", failed, "--error", group).out.split() == [failed, "processing"]
    it.pump()
    assert [task["task_index"] for task in run("tasks", failed, "--failed", "--json").documents] == [23]
    assert run("watch", failed).code == 5


def test_a_job_without_failures_says_so(it: Stand, run: Run) -> None:
    ran = run("failures", it.submit("hello_world", n=3))
    assert (ran.code, ran.out, ran.err) == (0, "", "No task has failed.\n")


def test_a_task_and_a_batch_are_retried(it: Stand, run: Run, failed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.is_fixed", True)
    task_ids = [task["task_id"] for task in run("tasks", failed, "--failed", "--json").documents]

    assert run("retry", failed, "--task", task_ids[0], "--task", task_ids[1]).code == 0
    it.pump()
    (batch,) = run("batches", failed, "--json").documents
    assert (batch["task_count"], batch["failed_tasks"]) == (30, 1)
    assert len(run("tasks", failed, "--batch", batch["batch_id"], "--failed", "--json").documents) == 1
    monkeypatch.setattr("time.sleep", lambda _: it.pump())
    ran = run("retry", failed, "--batch", batch["batch_id"], "--watch")
    assert ran.code == 0
    assert "sample completed" in ran.err


def test_texts_of_a_job_do_not_reach_the_terminal_as_commands(run: Run, failed: str) -> None:
    for command in (["tasks", failed], ["failures", failed], ["watch", failed], ["tasks", failed, "--json"]):
        ran = run(*command)
        assert "\x1b" not in ran.out + ran.err
    assert "\N{REPLACEMENT CHARACTER}[31mred" in run("tasks", failed).out


def test_two_parts_of_a_retry_exclude_each_other(run: Run, failed: str) -> None:
    assert run("retry", failed, "--batch", "b", "--error", "e").code == 2


def test_a_job_is_shown_and_listed(run: Run, failed: str) -> None:
    assert failed in run("jobs").out
    assert run("jobs", "--status", "failed", "--json").documents == []
    assert [job["job_id"] for job in run("jobs", "--type", "sample", "--limit", "1", "--json").documents] == [failed]
    assert run("jobs", "--status", "lost").code == 2
    shown = run("show", failed).out
    assert "completed_with_errors" in shown
    assert run("show", failed, "--json").documents[0]["job_id"] == failed


def test_a_job_is_shown_with_what_its_running_tasks_say(it: Stand, run: Run) -> None:
    job_id = it.submit("sample")
    it.deliver_job_messages()
    task_id = f"{job_id}-s01-t0000007"
    with it.database.transaction() as work:
        assert work.tasks.claim([task_id], "lease", 50)
        assert work.tasks.write_progress(task_id, "lease", 0.5, f"row 7 {ESCAPE}")

    shown = run("show", job_id).out.split("\nrunning\n")[1]
    assert f"{task_id}  50%" in shown
    assert "row 7" in shown
    assert "\x1b" not in shown
    assert run("show", job_id, "--json").documents[0]["progress_notes"][0]["task_id"] == task_id


def test_a_task_is_shown_by_its_id_alone(run: Run, failed: str) -> None:
    (task,) = run("tasks", failed, "--limit", "1", "--payload", "--json").documents
    assert task["result"] == 0
    assert run("task", task["task_id"], "--json").documents[0]["batch_id"] == task["batch_id"]
    assert task["batch_id"] in run("task", task["task_id"]).out


def test_results_are_written_to_a_file_and_go_on(run: Run, failed: str, tmp_path: Path) -> None:
    file = tmp_path / "out.ndjson"
    assert run("results", failed, "-o", str(file)).code == 0
    assert len(file.read_text().splitlines()) == 30
    assert run("results", failed, "-o", str(file), "--after", "27").code == 0
    assert len(file.read_text().splitlines()) == 32
    assert run("results", failed, "--csv").out.startswith("task_id,")
    assert [line["result"] for line in run("results", failed).documents][:4] == [0, 1, 2, None]


def test_a_file_that_cannot_be_written_is_a_usage_error(run: Run, failed: str) -> None:
    ran = run("results", failed, "-o", "/nowhere/out.ndjson")
    assert ran.code == 2
    assert "/nowhere/out.ndjson cannot be written" in ran.err


def test_an_interrupted_download_says_how_to_go_on(
    run: Run, failed: str, transport: AppTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("client.job_flows.PAGE", 10)
    monkeypatch.setattr(transport, "fails_after", 2)
    file = tmp_path / "my results.ndjson"

    ran = run("results", failed, "-o", str(file))

    assert ran.code == 3
    assert f"Go on with: lockstep results {failed} --stage 1 --after 19 -o '{file}'" in ran.err
    monkeypatch.setattr(transport, "fails_after", None)
    assert run("results", failed, "--stage", "1", "--after", "19", "-o", str(file)).code == 0
    assert len(file.read_text().splitlines()) == 30


def test_a_disk_that_is_full_leaves_whole_pages_and_says_how_to_go_on(
    run: Run, failed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.job_flows.PAGE", 10)
    file = tmp_path / "out.ndjson"
    assert run("results", failed, "-o", str(file)).code == 0
    whole = file.read_bytes()
    first = whole.index(b"\n", whole.index(b"t0000009")) + 1
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (first + 5, hard))  # like a disk with that much room
    try:
        ran = run("results", failed, "-o", str(file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert (ran.code, file.read_bytes()) == (2, whole[:first])
    assert f"{file} cannot be written: File too large" in ran.err
    assert run("results", failed, "--stage", "1", "--after", "9", "-o", str(file)).code == 0
    assert file.read_bytes() == whole


def test_results_of_a_stage_that_runs_are_said_to_be_incomplete(it: Stand, run: Run) -> None:
    ran = run("results", it.submit("hello_world", n=3))
    assert (ran.code, ran.out) == (0, "")
    assert "has not ended" in ran.err


def test_events_tell_what_happened(run: Run, failed: str) -> None:
    assert "stage started" in run("events", failed).out
    followed = run("events", failed, "--follow", "--json").documents
    assert followed[-1]["kind"] == "completed_with_errors"


def test_a_job_is_cancelled_and_resumed(it: Stand, run: Run) -> None:
    job_id = it.submit("hello_world", n=3)
    assert run("cancel", job_id).out.split() == [job_id, "cancelled"]
    ran = run("resume", job_id)
    assert ran.code == 0
    assert f"lockstep watch {job_id}" in ran.err
    it.pump()
    assert run("watch", job_id).code == 0
    refused = run("resume", job_id)
    assert refused.code == 4
    assert "Error:" in refused.err


def test_many_jobs_are_counted_and_changed_after_a_question(it: Stand, run: Run) -> None:
    for n in (1, 2):
        it.submit("hello_world", n=n)
    it.clock.advance(1)

    assert run("bulk", "cancel", "--type", "hello_world", "--dry-run").out == "2 jobs\n"
    assert run("bulk", "cancel", "--type", "hello_world", stdin="n\n").code == 1
    assert run("bulk", "cancel", "--type", "hello_world", "--dry-run", "--json").documents == [{"matched": 2}]
    assert run("actions", "--json").documents == []
    ran = run("bulk", "cancel", "--type", "hello_world", "--yes", "--json")
    (listed,) = run("actions", "--limit", "5", "--json").documents
    assert (listed["action_id"], listed["done"]) == (ran.documents[0]["action_id"], 2)
    assert listed["action_id"] in run("actions").out
    assert (ran.code, ran.documents[-1]["done"]) == (0, 2)
    assert run("bulk", "delete", "--yes").code == 2  # no filter: the app names what is missing


def test_the_app_is_described(run: Run) -> None:
    assert "hello_world" in run("types").out
    assert "required" in run("types", "hello_world").out
    schema = {
        "$defs": {"M": {"enum": ["a", "b"]}},
        "properties": {"m": {"anyOf": [{"$ref": "#/$defs/M"}, {"type": "null"}]}},
    }
    assert [each["type"] for each in about._parameters(schema)] == ["a, b or null"]
    assert run("types", "hello_world", "--json").documents[0]["name"] == "hello_world"
    assert "sb-jobs" in run("queues").out
    assert run("schedules", "--json").documents == []
    assert run("health").code == 0
    assert run("health", "--json").documents[0]["healthy"] is True


def test_dead_letters_are_listed_shown_and_discarded(it: Stand, run: Run) -> None:
    letter = DeadLetter("sb-tasks", "NotAMessage", "it is not JSON", b"{", "m1", 1)
    with it.database.transaction() as work:
        work.dead_letters.add(letter)

    assert "NotAMessage" in run("dead-letters").out
    (listed,) = run("dead-letters", "--state", "kept", "--json").documents
    letter_id = str(listed["dead_letter_id"])
    assert run("dead-letters", "show", letter_id, "--json").documents[0]["body"] == "{"
    assert run("dead-letters", "resend", letter_id).code == 4
    assert "discarded" in run("dead-letters", "discard", letter_id).out
    assert run("dead-letters", "--state", "lost").code == 2


def test_the_page_is_opened_without_the_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("LOCKSTEP_KEY", "pssst")

    run("--url", "https://jobs.example", "open")
    run("--url", "https://jobs.example", "open", "a" * 32)

    assert opened == [f"https://jobs.example/api/monitor{end}" for end in ("", f"#/jobs/{'a' * 32}")]


@pytest.mark.parametrize("command", ["show", "watch", "batches", "tasks", "failures", "results", "events", "cancel"])
def test_a_job_that_does_not_exist_has_the_same_exit_code_everywhere(run: Run, command: str) -> None:
    ran = run(command, "0" * 32)
    assert (ran.code, ran.out) == (4, "")
    assert "there is no job" in ran.err


def test_an_app_that_cannot_be_reached_has_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    ran = run_command("--url", "http://127.0.0.1:1", "jobs")
    assert ran.code == 3
    assert "http://127.0.0.1:1 cannot be reached" in ran.err
    assert "Traceback" not in ran.err
