"""Compares files with a list of checksums: a task for each file, so that a hundred workers read at the same time.

The list is as `sha256sum` writes it, and the result as of `sha256sum --check`, for as many files as one likes.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from controllers import authoring as lockstep

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.{1,4096})\n?")
_MOST_CHARACTERS = 4_500
"""Of a line: more than the pattern takes. A file that is no list may be one line of a gigabyte."""


class ChecksumListError(lockstep.JobFailure):
    """The list of checksums cannot be used."""


class MissingFileError(lockstep.PermanentTaskError):
    """A file of the list is not there."""


class ChecksumError(lockstep.PermanentTaskError):
    """A file is not the one that the list describes."""


class FileUnavailableError(lockstep.LockstepError):
    """A file cannot be read now; another attempt may succeed."""


class VerifyFilesParameters(lockstep.JobParameters):
    """Which files to verify."""

    checksums: Annotated[str, AfterValidator(lockstep.check_data_path)] = Field(
        min_length=1,
        max_length=1_000,
        description="a list as sha256sum writes it, as a path relative to DATA_DIR; the paths in it are relative to it",
    )


class _Entry(NamedTuple):
    sha256: str
    path: str


@lockstep.task_type("verify_files.verify")
def verify(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Compares one file with its checksum.

    Raises:
        MissingFileError: there is no such file in DATA_DIR.
        ChecksumError: the file has another checksum.
        FileUnavailableError: the file cannot be read now.
    """
    path, expected = parameters["path"], parameters["sha256"]
    try:
        with lockstep.existing_file(path, context.services.data_dir, "the file").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except lockstep.DataPathError as exc:
        raise MissingFileError(str(exc)) from exc
    except OSError as exc:
        raise FileUnavailableError(f"the file {path!r} cannot be read now: {exc.strerror}") from exc
    if found != expected:
        raise ChecksumError(f"the file {path!r} of {size:,} bytes has the checksum {found}, not {expected}")
    return {"path": path, "bytes": size}


class VerifyFiles(lockstep.JobController[VerifyFilesParameters]):
    """Compares files with a list of checksums."""

    job_type = "verify_files"
    # However many files are wrong, the job looks at all of them: that is what it is for.
    stages = (lockstep.StageSpec("verify", max_failed_fraction=1.0),)
    task_types = (verify,)

    def check_submission(self, parameters: VerifyFilesParameters, services: lockstep.Services) -> None:
        """Refuses a list that is not there, or whose first line is not of a list.

        Raises:
            InvalidParameterError: names the parameter.
            UnreachableError: the list cannot be read now.
        """
        try:
            first = next(_entries(parameters.checksums, services), None)
        except ChecksumListError as exc:
            raise lockstep.InvalidParameterError("checksums", str(exc)) from exc
        except FileUnavailableError as exc:
            raise lockstep.UnreachableError(str(exc)) from exc
        if first is None:
            raise lockstep.InvalidParameterError("checksums", f"the list {parameters.checksums!r} is empty")

    def create_stage_tasks(
        self, job: lockstep.JobContext[VerifyFilesParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        """Yields a task for each line of the list.

        Raises:
            ChecksumListError: the list is not there, has a line that cannot be used, or changes meanwhile.
            FileUnavailableError: the list cannot be read now.
        """
        name, services = job.parameters.checksums, job.services
        version = _version(name, services)
        # A long list takes several slices. The cursor of each task is the version of the list that it is from.
        # In a job of the version before, the cursor is the index, which says nothing of the list.
        if isinstance(stage.cursor, str) and stage.cursor != version:
            raise _changed(name)
        entries = _entries(name, services)
        for index, entry in enumerate(islice(entries, stage.first_index, None), stage.first_index):
            yield verify.task(index, entry._asdict(), cursor=version)
        if _version(name, services) != version:
            raise _changed(name)

    def fold_stage_results(
        self,
        job: lockstep.JobContext[VerifyFilesParameters],
        stage: lockstep.StageContext,
        state: lockstep.JsonValue,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        """Counts the files that are as the list says, and their bytes."""
        total = state or {"files": 0, "bytes": 0}
        for each in results:
            if each.status == lockstep.TaskStatus.COMPLETED:
                total = {"files": total["files"] + 1, "bytes": total["bytes"] + each.result["bytes"]}
        return total

    def aggregate_job_results(
        self, job: lockstep.JobContext[VerifyFilesParameters], stage_results: list[lockstep.JsonValue]
    ) -> lockstep.JsonValue:
        """Returns both sums."""
        return stage_results[0]


def _entries(name: str, services: lockstep.Services) -> Iterator[_Entry]:
    folder = PurePosixPath(name).parent
    with _reading(name), lockstep.existing_file(name, services.data_dir, "the list").open(encoding="utf-8") as file:
        for number, line in enumerate(iter(partial(file.readline, _MOST_CHARACTERS), ""), start=1):
            yield _entry(line, number, name, folder)


def _version(name: str, services: lockstep.Services) -> str:
    with _reading(name):
        found = lockstep.existing_file(name, services.data_dir, "the list").stat()
    return f"{found.st_mtime_ns} {found.st_size}"


def _changed(name: str) -> ChecksumListError:
    return ChecksumListError(
        f"the list {name!r} changed after the job began to read it; submit it again with another Idempotency-Key"
    )


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except lockstep.DataPathError as exc:
        raise ChecksumListError(str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise ChecksumListError(f"the list {name!r} is not UTF-8") from exc
    except OSError as exc:
        raise FileUnavailableError(f"the list {name!r} cannot be read now: {exc.strerror}") from exc


def _entry(line: str, number: int, name: str, folder: PurePosixPath) -> _Entry:
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ChecksumListError(f"line {number:,} of the list {name!r} is no SHA-256, two spaces and a path")
    try:
        return _Entry(matched[1], str(folder / lockstep.check_data_path(matched[2])))
    except ValueError as exc:
        raise ChecksumListError(f"line {number:,} of the list {name!r}: {exc}") from exc
