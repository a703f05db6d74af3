"""Every command that changes a job, many jobs or a dead letter, and the exit codes of a job's ends."""

from pathlib import Path

import pytest

from tests.e2e.commands.command_lines import run
from tests.e2e.commands.stack import Seeded, Stack

pytestmark = [pytest.mark.one_worker("commands"), pytest.mark.waits, pytest.mark.timeout(900)]


def test_a_job_is_submitted_and_watched_to_its_end(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "parameters.json"
    file.write_text('{"n": 2, "area": "of a file"}')
    ran = run(
        f"lockstep submit sample --json {file} --parameter n=3 --idempotency-key {tmp_path} --watch --timeout 240"
    )
    assert "3/3 tasks" in ran.err
    (job,) = stack.get("jobs?text=of+a+file")["jobs"]
    assert (job["status"], stack.get(f"jobs/{job['job_id']}")["parameters"]["n"]) == ("completed", 3)

    same = run(f"lockstep submit sample --json {file} -p n=3 --idempotency-key {tmp_path}")
    assert (same.out.strip(), "existed already" in same.err) == (job["job_id"], True)
    assert run(f"lockstep watch {job['job_id']} --json").documents[-1]["status"] == "completed"


def test_a_job_that_waits_is_submitted_and_its_watch_ends_in_time(stack: Stack, it: Seeded) -> None:
    start_at, after = "2099-01-01T00:00:00", it.completed
    ran = run(f"lockstep --json submit sample -p n=1 --start-at {start_at} --after {after} --urgent")
    (submission,) = ran.documents
    job = stack.get(f"jobs/{submission['job_id']}")
    assert (submission["status"], job["urgent"], job["waits_for"]["start_at"][:4]) == ("waiting", True, "2099")

    ran = run(f"lockstep watch {submission['job_id']} --timeout 0.2", expected=7)
    assert f"The job runs on. Watch it again: lockstep watch {submission['job_id']}" in ran.err
    run(f"lockstep cancel {submission['job_id']}")


def test_the_end_of_a_watched_job_is_its_exit_code(it: Seeded) -> None:
    ends = {it.completed: 0, it.failed: 1, it.partial: 5, it.cancelled: 6}
    assert [run(f"lockstep watch {job_id}", code).out != "" for job_id, code in ends.items()] == [True] * 4


def test_a_running_job_is_cancelled_and_resumed_to_its_end(stack: Stack) -> None:
    job_id = stack.held(n=8)
    assert run(f"lockstep cancel {job_id} --json").documents[0]["status"] == "cancelled"
    with stack.released():
        stack.settle(job_id)
        assert stack.get(f"jobs/{job_id}")["stages"][0]["tasks"]["cancelled"] > 0
        assert "8/8 tasks" in run(f"lockstep resume {job_id} --watch").err


def test_a_job_that_was_cancelled_before_it_began_is_resumed(stack: Stack) -> None:
    job_id = stack.cancelled()
    assert run(f"lockstep resume {job_id} --json").documents[0]["job_id"] == job_id
    run(f"lockstep watch {job_id}")


def test_failed_tasks_are_retried_by_cause_by_id_by_batch_and_all(stack: Stack) -> None:
    job_id = stack.partly_failed()
    cause, _ = run(f"lockstep failures {job_id} --json").documents
    with stack.mended():
        changed = run(f"lockstep retry {job_id} --error {cause['error']} --json").documents
        assert [each["job_id"] for each in changed] == [job_id]
        run(f"lockstep watch {job_id}", expected=5)
        first, second = run(f"lockstep tasks {job_id} --failed --json").documents
        run(f"lockstep retry {job_id} --task {first['task_id']} --watch", expected=5)
        run(f"lockstep retry {job_id} --batch {second['batch_id']} --watch")
        run(f"lockstep retry {job_id}", expected=4)  # nothing has failed


def test_many_jobs_are_counted_cancelled_and_deleted(stack: Stack) -> None:
    jobs, since, until = [stack.to_be_started("many") for _ in range(2)], "2020-01-01", "2090-01-01T00:00:00"
    counted = run(f"lockstep bulk cancel --type many --status waiting --from {since} --before {until} --dry-run --json")
    assert counted.documents == [{"matched": 2}]
    done = run(f"lockstep bulk cancel --type many --status waiting --from {since} --before {until} --yes --json")
    assert (done.documents[-1]["done"], done.documents[-1]["is_finished"]) == (2, True)
    (listed,) = run("lockstep actions --limit 1 --json").documents
    assert (listed["action_id"], listed["job_type"]) == (done.documents[-1]["action_id"], "many")

    counted = run(f"lockstep bulk delete --type many --status cancelled --from {since} --before {until} --dry-run")
    assert counted.out == "2 jobs\n"
    refused = run(f"lockstep bulk delete --type many --status cancelled --yes --before {until}", expected=4)
    assert all(job_id in refused.err for job_id in jobs)  # they have just ended
    stack.age("many")
    assert run("lockstep bulk delete --type many --status cancelled --yes --json").documents[-1]["done"] == 2
    assert stack.get("jobs?type=many&status=cancelled")["jobs"] == []


def test_many_failed_jobs_are_retried_after_a_question(stack: Stack) -> None:
    jobs, since, until = [stack.submit("many", n=2, fails=0.5) for _ in range(2)], "2020-01-01", "2090-01-01"
    for job_id in jobs:
        stack.wait(job_id, "failed")
    counted = run(f"lockstep bulk retry --type many --status failed --from {since} --before {until} --dry-run --json")
    assert counted.documents == [{"matched": 2}]
    run("lockstep bulk retry --type many", expected=1, stdin="n\n")
    with stack.mended():
        assert run("lockstep bulk retry --type many --status failed --yes --json").documents[-1]["done"] == 2
        for job_id in jobs:
            run(f"lockstep watch {job_id}")


def test_a_dead_letter_is_resent_or_discarded(stack: Stack, it: Seeded) -> None:
    resent = run(f"lockstep dead-letters resend {stack.dead_letter(it.held)} --json").documents
    assert [each["state"] for each in resent] == ["resent"]
    foreign = stack.dead_letter()
    assert "cannot be decoded" in run(f"lockstep dead-letters resend {foreign}", expected=4).err
    discarded = run(f"lockstep dead-letters discard {foreign} --json").documents
    assert [each["state"] for each in discarded] == ["discarded"]


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("lockstep submit sample -p n=0", 2, "n: 0 is less than the minimum of 1"),
        ("lockstep submit sampel -p n=1", 2, "did you mean sample?"),
        ("lockstep show 00000000000000000000000000000000", 4, "there is no job"),
        ("lockstep resume {completed}", 4, "completed"),
        ("lockstep bulk cancel --yes", 2, "type"),
        ("lockstep bulk cancel --status queued --type '' --yes", 2, "type is empty"),
    ],
)
def test_what_is_refused_has_a_text_and_an_exit_code(it: Seeded, line: str, code: int, text: str) -> None:
    ran = run(line.format(**vars(it)), expected=code)
    assert text in ran.err
    assert ran.out == ""
