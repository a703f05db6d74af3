import errno
import os
from pathlib import Path

import pytest

from core.errors import JobFailure, PermanentTaskError, SourceError, SourceUnavailableError
from tests.unit.controllers.ingest_csv.support import Ingestion


def _refusal(ingestion: Ingestion, source: str) -> str:
    with pytest.raises(SourceError) as caught:
        next(ingestion.load_tasks(ingestion.job(source)))
    return str(caught.value)


def test_a_missing_file_fails_the_job(ingestion: Ingestion) -> None:
    assert _refusal(ingestion, "none.csv") == "there is no file 'none.csv' in DATA_DIR"


def test_a_missing_data_directory_fails_the_job(tmp_path: Path) -> None:
    assert "there is no file" in _refusal(Ingestion(tmp_path / "none"), "a.csv")


def test_a_symbolic_link_out_of_the_data_directory_is_refused(ingestion: Ingestion, tmp_path: Path) -> None:
    tmp_path.joinpath("secret.csv").write_text("a\n1\n")
    ingestion.data_dir.joinpath("link.csv").symlink_to(tmp_path / "secret.csv")
    ingestion.data_dir.joinpath("folder").symlink_to(tmp_path)
    assert "lies outside DATA_DIR" in _refusal(ingestion, "link.csv")
    assert "lies outside DATA_DIR" in _refusal(ingestion, "folder/secret.csv")


def test_a_symbolic_link_inside_the_data_directory_is_followed(ingestion: Ingestion) -> None:
    ingestion.write(b"a\n1\n")
    ingestion.data_dir.joinpath("link.csv").symlink_to("file.csv")
    assert ingestion.run("link.csv")["rows_loaded"] == 1


def test_the_data_directory_itself_may_be_a_link(ingestion: Ingestion, tmp_path: Path) -> None:
    ingestion.write(b"a\n1\n")
    link = tmp_path / "link"
    link.symlink_to(ingestion.data_dir)
    assert Ingestion(link).run("file.csv")["rows_loaded"] == 1


def test_what_is_no_regular_file_is_refused_without_opening_it(ingestion: Ingestion) -> None:
    os.mkfifo(ingestion.data_dir / "fifo")
    ingestion.data_dir.joinpath("folder").mkdir()
    assert "is not a regular file" in _refusal(ingestion, "fifo")
    assert "is not a regular file" in _refusal(ingestion, "folder")
    assert "is not a regular file" in _refusal(ingestion, ".")


def test_a_path_that_cannot_be_followed_fails_the_job(ingestion: Ingestion) -> None:
    ingestion.write(b"a\n")
    ingestion.data_dir.joinpath("loop").symlink_to("loop")
    for source in ("file.csv/x", "loop", "x" * 300):
        message = _refusal(ingestion, source)
        assert "is no usable path" in message
        assert str(ingestion.data_dir) not in message


@pytest.mark.parametrize("call", ["resolve", "stat", "open"])
def test_a_share_that_cannot_be_reached_is_no_wrong_source(
    ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    source = ingestion.write(b"a\n1\n")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EHOSTDOWN, "Host is down")

    job = ingestion.job(source)
    with monkeypatch.context() as patch:
        patch.setattr(Path, call, fail)
        with pytest.raises(SourceUnavailableError, match=r"the source 'file\.csv' cannot be read now: Host is down"):
            next(ingestion.load_tasks(job))


def test_a_file_that_may_not_be_read_fails_the_job(ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ingestion.write(b"a\n1\n")

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", fail)
    assert _refusal(ingestion, source) == "the source 'file.csv' cannot be read: Permission denied"


def test_a_file_that_vanished_fails_its_tasks_for_good(ingestion: Ingestion) -> None:
    source = ingestion.write(b"a\n1\n")
    (task,) = ingestion.load_tasks(ingestion.job(source))
    ingestion.data_dir.joinpath(source).unlink()
    with pytest.raises(PermanentTaskError, match="there is no file"):
        ingestion.run_task(task)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02\x03", b"a,b\n" + b'"' + b"x\n" * 1_000_000], ids=["empty", "binary", "open quote"]
)
def test_a_file_that_is_no_csv_fails_the_job(ingestion: Ingestion, content: bytes) -> None:
    source = ingestion.write(content)
    with pytest.raises(JobFailure):
        list(ingestion.load_tasks(ingestion.job(source)))
