from pathlib import Path

import pytest

from controllers.authoring import DataPathError, check_data_path, existing_file, place_of


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "a\nb", "a\x00"])
def test_a_path_that_no_directory_makes_right_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="a path"):
        check_data_path(path)


def test_a_place_that_does_not_exist_is_found(tmp_path: Path) -> None:
    assert place_of("a/b", tmp_path, "the target") == tmp_path.resolve() / "a" / "b"


def test_a_place_behind_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "out").symlink_to(tmp_path)
    (data_dir / "dangling").symlink_to(tmp_path / "none")
    for path in ("out", "out/new", "dangling"):
        with pytest.raises(DataPathError, match=f"the target '{path}' lies outside DATA_DIR"):
            place_of(path, data_dir, "the target")


def test_the_directory_itself_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(DataPathError, match="is DATA_DIR itself"):
        place_of(".", tmp_path, "the target")


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataPathError, match="the target 'file/a/b' lies below a file"):
        place_of("file/a/b", tmp_path, "the target")


def test_a_file_is_found_and_a_directory_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert existing_file("a", tmp_path, "the source") == tmp_path.resolve() / "a"
    with pytest.raises(DataPathError, match=r"the source '\.' is not a regular file"):
        existing_file(".", tmp_path, "the source")
    with pytest.raises(DataPathError, match="there is no file 'b' in DATA_DIR"):
        existing_file("b", tmp_path, "the source")
