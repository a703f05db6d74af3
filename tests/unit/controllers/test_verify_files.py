import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers import verify_files
from controllers.verify_files import VerifyFiles, VerifyFilesParameters
from core.checkpoints import Checkpoint
from core.errors import InvalidInputError, UnreachableError
from core.statuses import JobStatus, TaskStatus
from tests.fakes.database import FakeDatabase
from tests.support.drive import Stand, stand


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.fixture
def it(data_dir: Path) -> Iterator[Stand]:
    with stand(VerifyFiles, data_dir=data_dir) as it:
        yield it


def write(data_dir: Path, files: int) -> None:
    """Writes files and their list as `sha256sum` does."""
    lines = []
    for number in range(files):
        content = b"%d\n" % number
        (data_dir / "in" / f"{number}.txt").write_bytes(content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {number}.txt\n")
    (data_dir / "in" / "SHA256SUMS").write_text("".join(lines))


def refusal(it: Stand) -> tuple[str, str]:
    with pytest.raises(InvalidInputError) as caught:
        it.submit("verify_files", checksums="in/SHA256SUMS")
    (error,) = caught.value.errors
    return error.field, error.message


def test_every_file_of_the_list_is_a_task_and_the_result_counts_them(it: Stand, data_dir: Path) -> None:
    write(data_dir, 250)
    job_id = it.submit("verify_files", checksums="in/SHA256SUMS")
    it.pump()
    job = it.job(job_id)
    assert (job.status, job.result) == (JobStatus.COMPLETED, {"files": 250, "bytes": 10 * 2 + 90 * 3 + 150 * 4})
    assert it.tasks(job_id)[123].result == {"path": "in/123.txt", "bytes": 4}


def test_files_that_are_missing_or_another_fail_alone_and_at_once(it: Stand, data_dir: Path) -> None:
    write(data_dir, 5)
    (data_dir / "in" / "1.txt").unlink()
    (data_dir / "in" / "3.txt").write_bytes(b"4\n")
    job_id = it.submit("verify_files", checksums="in/SHA256SUMS")
    it.pump()
    job, tasks = it.job(job_id), it.tasks(job_id)
    assert (job.status, job.result) == (JobStatus.COMPLETED_WITH_ERRORS, {"files": 3, "bytes": 6})
    errors = [(task.error["type"], task.error["message"], task.attempt) for task in tasks if task.error]
    (missing, (kind, message, attempt)) = errors
    assert missing == ("MissingFileError", "there is no file 'in/1.txt' in DATA_DIR", 1)
    assert (kind, attempt) == ("ChecksumError", 1)
    assert message.startswith("the file 'in/3.txt' of 2 bytes has the checksum ")
    assert message.endswith(", not " + hashlib.sha256(b"3\n").hexdigest())


@pytest.mark.parametrize("call", ["resolve", "open"])
def test_a_file_that_cannot_be_read_now_is_tried_again(
    it: Stand, data_dir: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write(data_dir, 1)
    job_id = it.submit("verify_files", checksums="in/SHA256SUMS")
    it.deliver_job_messages()
    with monkeypatch.context() as patch:
        patch.setattr(Path, call, failing)
        it.deliver_task_messages()
    (task,) = it.tasks(job_id)
    assert task.status == TaskStatus.RETRYING
    assert task.error is not None
    assert task.error["message"] == "the file 'in/0.txt' cannot be read now: Input/output error"
    it.pump_through_time()
    assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_list_that_cannot_be_read_now_is_unreachable(
    it: Stand, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(data_dir, 1)
    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(UnreachableError, match=r"the list 'in/SHA256SUMS' cannot be read now: Input/output error"):
        it.submit("verify_files", checksums="in/SHA256SUMS")


def test_a_list_that_is_not_there_is_refused(it: Stand) -> None:
    assert refusal(it) == ("checksums", "there is no file 'in/SHA256SUMS' in DATA_DIR")


SUM = "0" * 64


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the list 'in/SHA256SUMS' is empty"),
        (b"\xff\n", "the list 'in/SHA256SUMS' is not UTF-8"),
        (b"name\n", "line 1 of the list 'in/SHA256SUMS' is no SHA-256, two spaces and a path"),
        (
            f"{SUM}  {'a' * 1_000_000}".encode(),
            "line 1 of the list 'in/SHA256SUMS' is no SHA-256, two spaces and a path",
        ),
        (
            f"{SUM}  ../out\n".encode(),
            "line 1 of the list 'in/SHA256SUMS': a path is relative to DATA_DIR and has no '..'",
        ),
    ],
    ids=["empty", "not UTF-8", "no line of a list", "a long line", "a path out of the directory"],
)
def test_what_is_no_list_is_refused(it: Stand, data_dir: Path, content: bytes, reason: str) -> None:
    (data_dir / "in" / "SHA256SUMS").write_bytes(content)
    assert refusal(it) == ("checksums", reason)


def test_a_later_line_that_cannot_be_used_fails_the_job_with_its_number(it: Stand, data_dir: Path) -> None:
    write(data_dir, 300)
    with (data_dir / "in" / "SHA256SUMS").open("a") as file:
        file.write("\n")
    job_id = it.submit("verify_files", checksums="in/SHA256SUMS")
    it.pump()
    job = it.job(job_id)
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["message"] == "line 301 of the list 'in/SHA256SUMS' is no SHA-256, two spaces and a path"


@pytest.mark.parametrize("slice_seconds", [1e-9, 120.0], ids=["in slices", "in one slice"])
def test_a_list_that_changes_while_the_job_is_dispatched_fails_the_job(
    data_dir: Path, slice_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks would be of two lists."""
    write(data_dir, 250)
    with stand(VerifyFiles, data_dir=data_dir, dispatch_slice_seconds=slice_seconds) as it:
        job_id = it.submit("verify_files", checksums="in/SHA256SUMS")
        of, places = verify_files._entry, iter([120])

        def changed_meanwhile(line: str, number: int, *rest: Any) -> Any:
            if number == 120 and next(places, None):  # once
                write(data_dir, 251)
            return of(line, number, *rest)

        monkeypatch.setattr(verify_files, "_entry", changed_meanwhile)
        it.pump()
        job = it.job(job_id)
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["message"] == (
        "the list 'in/SHA256SUMS' changed after the job began to read it; submit it again with another Idempotency-Key"
    )


def test_a_dispatch_that_the_version_before_began_goes_on(data_dir: Path) -> None:
    """Its cursors are indices, which say nothing of the list."""
    write(data_dir, 3)
    services = lockstep.Services(data_dir, frozenset(), FakeDatabase())
    job = lockstep.JobContext("job", VerifyFilesParameters(checksums="in/SHA256SUMS"), services)
    stage = lockstep.StageContext(1, "verify", checkpoint=Checkpoint(2, 1, 1))
    assert [task.parameters["path"] for task in VerifyFiles().create_stage_tasks(job, stage)] == ["in/2.txt"]


def failing(*_: object, **__: object) -> None:
    raise OSError(5, "Input/output error")
