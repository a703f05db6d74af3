"""A mosaic whose process is killed at any moment: tiles that a checkpoint counts are not written again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from typing_extensions import override

from controllers.authoring import ContinueLater
from controllers.run_state import UnsavedRunState
from controllers.tile_raster import mosaic_state
from controllers.tile_raster.errors import RasterUnavailableError, TargetError
from controllers.tile_raster.rasters import block_size
from core.statuses import JobStatus
from tests.unit.controllers.tile_raster import rasters
from tests.unit.controllers.tile_raster.support import Tiling


class Killed(BaseException):
    """The end of the process: no code of the handler catches it."""


class Run(UnsavedRunState):
    """One run: begins with a checkpoint, is killed after a note of progress, and keeps the notes."""

    def __init__(self, checkpoint: Any = None, killed_after: str = "") -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._killed_after = killed_after
        self.checkpoints: list[Any] = []

    @override
    def checkpoint(self, state: Any) -> None:
        super().checkpoint(state)
        self.checkpoints.append(state)

    @override
    def progress(self, fraction: float, note: str) -> None:
        super().progress(fraction, note)
        if note == self._killed_after:
            raise Killed

    @property
    def notes(self) -> list[str]:
        return [note for _, note in self.progressed]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosaic_state, "CHECKPOINT_TILES", 4)


@pytest.fixture
def source(tiling: Tiling) -> Path:
    file = tiling.data_dir / "source.tif"
    rasters.write(file)
    return file


def wrote(first: int, last: int) -> list[str]:
    return [f"wrote tile {number} of 12" for number in range(first, last + 1)]


def test_a_run_goes_on_after_the_tiles_of_the_last_checkpoint(tiling: Tiling, source: Path) -> None:
    task = tiling.mosaic_task(overlap=3)
    runs = [Run(killed_after="wrote tile 6 of 12")]
    with pytest.raises(Killed):
        tiling.run_task(task, 3, runs[0])
    runs.append(Run(runs[0].last_checkpoint, killed_after="wrote tile 11 of 12"))
    with pytest.raises(Killed):
        tiling.run_task(task, 3, runs[1])
    runs.append(Run(runs[1].last_checkpoint))

    result = tiling.run_task(task, 3, runs[2])

    assert runs[0].notes == wrote(1, 6)
    assert runs[1].notes == wrote(5, 11)
    assert runs[2].notes[:4] == wrote(9, 12)
    assert result["tiles_written_by_run"] == [4, 4, 4]
    rasters.assert_equal(source, tiling.target / "mosaic.tif")


def test_progress_grows_from_tile_to_tile(tiling: Tiling, source: Path) -> None:
    run = Run()
    tiling.run_task(tiling.mosaic_task(), 3, run)

    fractions = [fraction for fraction, _ in run.progressed]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert run.notes[12:14] == ["making the COG", "compared tile 1 of 12"]


@pytest.mark.parametrize("killed_after", ["making the COG", "compared tile 1 of 12", "compared tile 7 of 12"])
def test_a_run_that_is_killed_after_the_tiles_are_written_writes_none_again(
    tiling: Tiling, source: Path, killed_after: str
) -> None:
    task = tiling.mosaic_task()
    first = Run(killed_after=killed_after)
    with pytest.raises(Killed):
        tiling.run_task(task, 3, first)
    (tiling.target / ".partial" / f"{first.last_checkpoint['token']}-mosaic-dead.tif").write_bytes(b"half")
    second = Run(first.last_checkpoint)

    assert tiling.run_task(task, 3, second)["tiles_written_by_run"] == [12]

    assert not [note for note in second.notes if note.startswith("wrote")]
    assert ("making the COG" in second.notes) == (killed_after == "making the COG")
    rasters.assert_equal(source, tiling.target / "mosaic.tif")


def test_a_run_that_is_killed_after_the_rename_makes_nothing_again(tiling: Tiling, source: Path) -> None:
    task = tiling.mosaic_task()
    first = Run()
    result = tiling.run_task(task, 3, first)
    second = Run(first.last_checkpoint)

    assert tiling.run_task(task, 3, second) == result

    assert second.notes == []


def test_a_mosaic_of_an_earlier_job_is_not_taken_for_this_ones(tiling: Tiling, source: Path) -> None:
    task = tiling.mosaic_task()
    first = Run()
    tiling.run_task(task, 3, first)
    with rasterio.open(tiling.target / "mosaic.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(LOCKSTEP_MOSAIC="another")
    second = Run(first.last_checkpoint)

    assert tiling.run_task(task, 3, second)["tiles_written_by_run"] == [12]

    assert second.notes[:12] == wrote(1, 12)


def test_a_mosaic_whose_pieces_were_deleted_at_the_end_of_the_job_begins_anew(tiling: Tiling, source: Path) -> None:
    task = tiling.mosaic_task()
    first = Run(killed_after="wrote tile 6 of 12")
    with pytest.raises(Killed):
        tiling.run_task(task, 3, first)
    tiling.end(JobStatus.FAILED)
    second = Run(first.last_checkpoint)

    assert tiling.run_task(task, 3, second)["tiles_written_by_run"] == [12]

    assert second.notes[:12] == wrote(1, 12)
    rasters.assert_equal(source, tiling.target / "mosaic.tif")


def test_a_run_whose_time_is_over_goes_on_in_another(
    tiling: Tiling, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tiling.mosaic_task()
    monkeypatch.setattr(mosaic_state, "RUN_SECONDS", 0)
    states: list[Any] = []
    for _ in range(12 + 1 + 12):
        with pytest.raises(ContinueLater) as later:
            tiling.run_task(task, 3, Run(states[-1] if states else None))
        states.append(later.value.state)

    result = tiling.run_task(task, 3, Run(states[-1]))

    assert len({str(state) for state in states}) == len(states), "a run that changes nothing goes on for ever"
    assert result["tiles_written_by_run"] == [1] * 12
    rasters.assert_equal(source, tiling.target / "mosaic.tif")


def _delete(tile: Path) -> None:
    tile.unlink()


def _change(tile: Path) -> None:
    with rasterio.open(tile, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.write(raster.read() + 1)


def _cut_to_another_size(tile: Path) -> None:
    rasters.write(tile, size=(2, 5, 5))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_delete, "the tile r00001_c00001.tif was deleted"),
        (_change, "the tile r00001_c00001.tif has other pixels than those that were cut"),
        (_cut_to_another_size, "the tile r00001_c00001.tif has other pixels than those that were cut"),
    ],
    ids=["deleted", "changed", "resized"],
)
@pytest.mark.usefixtures("source")
def test_a_tile_that_is_not_what_was_cut_fails_the_task(
    tiling: Tiling, damage: Callable[[Path], None], reason: str
) -> None:
    task = tiling.mosaic_task()
    damage(tiling.target / "tiles" / "r00001_c00001.tif")

    with pytest.raises(TargetError, match=reason):
        tiling.run_task(task, 3)


@pytest.mark.usefixtures("source")
def test_a_list_of_tiles_that_was_changed_fails_the_task(tiling: Tiling) -> None:
    task = tiling.mosaic_task()
    (tiling.target / "tiles.jsonl").write_text("{}\n")
    with pytest.raises(TargetError, match=r"tiles\.jsonl was changed or deleted"):
        tiling.run_task(task, 3)
    (tiling.target / "tiles.jsonl").unlink()
    with pytest.raises(TargetError, match=r"tiles\.jsonl was changed or deleted"):
        tiling.run_task(task, 3)


def test_pieces_that_the_disk_has_lost_are_noticed_and_written_again(tiling: Tiling, source: Path) -> None:
    task = tiling.mosaic_task()
    first = Run(killed_after="wrote tile 9 of 12")
    with pytest.raises(Killed):
        tiling.run_task(task, 3, first)
    (pieces,) = (tiling.target / ".partial").glob("*-pieces.tif")
    with rasterio.open(pieces, "r+") as raster:
        raster.write(raster.read() * 0)
    second = Run(first.last_checkpoint)

    with pytest.raises(RasterUnavailableError, match=r"than the tile r00000_c00000\.tif; it is made anew"):
        tiling.run_task(task, 3, second)
    assert list((tiling.target / ".partial").iterdir()) == []

    tiling.run_task(task, 3, Run(second.last_checkpoint))
    rasters.assert_equal(source, tiling.target / "mosaic.tif")


def test_a_tile_without_a_result_fails_the_list(tiling: Tiling, source: Path) -> None:
    tiling.cut()
    (listing,) = tiling.tasks(2)
    del tiling.cut_results[-1]
    with pytest.raises(TargetError, match="11 of 12 tiles were cut"):
        tiling.run_task(listing, 2)
    del tiling.cut_results[3]
    with pytest.raises(TargetError, match="the tile 3 was not cut"):
        tiling.run_task(listing, 2)


def test_no_two_tiles_share_a_block_of_the_pieces() -> None:
    for size in range(16, 2_049, 16):
        side = block_size(size)
        assert (size % side, side % 16) == (0, 0)
        assert side <= 512
