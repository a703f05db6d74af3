"""The code of the previous release, out of the history of this repository."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from local.stack import ROOT

PREVIOUS = "37db978757fc4d26d780a0b15b43d47558469fe2"
"""The commit of the release before this version; a release puts its own commit here.

Nothing has been released yet, so it is the last commit whose schema ended with 0020: its hosts know neither the
functions of tasks nor what has been built since.
"""


def unpack_previous_release(directory: Path) -> Path:
    """Writes its files into a directory; returns the directory.

    A copy without the history, such as a shallow clone, skips the test, unless LOCKSTEP_NEEDS_HISTORY says that the
    history must be there.

    Raises:
        AssertionError: it must be there, and is not.
    """
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=tar", PREVIOUS], capture_output=True, check=False
    )
    missing = (
        f"the previous release, commit {PREVIOUS}, is not in the history of {ROOT}. This test runs its code beside the "
        f"present one: clone the repository whole, or run git fetch --unshallow. git says: {archive.stderr.decode()}"
    )
    if archive.returncode and not os.environ.get("LOCKSTEP_NEEDS_HISTORY"):
        pytest.skip(missing)
    assert archive.returncode == 0, missing
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")
    return directory
