from pathlib import Path

import pytest

from tests.support import previous_release


@pytest.mark.parametrize(
    ("needs_history", "raised"), [("1", AssertionError), ("", pytest.skip.Exception)], ids=["fails", "is left out"]
)
def test_a_clone_without_the_history_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs_history: str, raised: type[BaseException]
) -> None:
    monkeypatch.setattr(previous_release, "PREVIOUS", "0" * 40)
    monkeypatch.setenv("LOCKSTEP_NEEDS_HISTORY", needs_history)
    with pytest.raises(raised, match="git fetch --unshallow"):
        previous_release.unpack_previous_release(tmp_path)
