from pathlib import Path

import pytest

from tests.support import previous_release


def test_a_clone_without_the_history_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previous_release, "PREVIOUS", "0" * 40)
    with pytest.raises(AssertionError, match="git fetch --unshallow"):
        previous_release.unpack_previous_release(tmp_path)
