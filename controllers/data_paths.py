"""Paths that clients name: each lies under DATA_DIR, also after its symbolic links are followed."""

import errno
from pathlib import Path, PurePosixPath

_UNUSABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ}
)
"""What the system says of a path that stays unusable. Anything else passes: a share may be unreachable for a while."""


class DataPathError(ValueError):
    """A path cannot be used; the message names it as the client does."""


def check_data_path(path: str) -> str:
    """Returns the path, or refuses one that no directory can make right.

    Raises:
        ValueError: it is absolute, has a `..`, or is not printable.
    """
    if not path.isprintable():
        raise ValueError("a path must contain only printable characters")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("a path is relative to DATA_DIR and has no '..'")
    return path


def existing_file(path: str, data_dir: Path, what: str) -> Path:
    """Returns where a file lies.

    Args:
        path: relative to the directory.
        data_dir: DATA_DIR.
        what: names the path in errors, for example "the source".

    Raises:
        DataPathError: there is no such file, it lies outside the directory, or it is not a regular file.
        OSError: the directory cannot be read now.
    """
    try:
        found = _resolved(path, data_dir, what, must_exist=True)
    except FileNotFoundError as exc:
        raise DataPathError(f"there is no file {path!r} in DATA_DIR") from exc
    if not found.is_file():  # opening a FIFO would block, a device may never end
        raise DataPathError(f"{what} {path!r} is not a regular file")
    return found


def place_of(path: str, data_dir: Path, what: str) -> Path:
    """Returns where a file or directory lies, or would lie.

    Raises:
        DataPathError: it lies outside the directory or below a file, or is the directory itself.
        OSError: the directory cannot be read now.
    """
    found = _resolved(path, data_dir, what, must_exist=False)
    if found == data_dir.resolve():
        raise DataPathError(f"{what} {path!r} is DATA_DIR itself")
    if any(parent.is_file() for parent in found.parents):
        raise DataPathError(f"{what} {path!r} lies below a file")
    return found


def _resolved(path: str, data_dir: Path, what: str, *, must_exist: bool) -> Path:
    try:
        root = data_dir.resolve(strict=must_exist)
        found = (root / path).resolve(strict=must_exist)
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, ValueError) as exc:  # RuntimeError: a loop of symbolic links
        if isinstance(exc, OSError) and exc.errno not in _UNUSABLE:
            raise
        raise DataPathError(f"{what} {path!r} is no usable path") from exc
    if not found.is_relative_to(root):
        raise DataPathError(f"{what} {path!r} lies outside DATA_DIR")
    return found
