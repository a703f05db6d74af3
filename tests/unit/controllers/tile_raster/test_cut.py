import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from controllers.tile_raster.errors import RasterUnavailableError, SourceError, TargetError
from core.statuses import JobStatus
from tests.unit.controllers.tile_raster import rasters
from tests.unit.controllers.tile_raster.support import Tiling


@pytest.mark.parametrize(
    ("dtype", "nodata", "compression"),
    [
        ("uint8", 0, "deflate"),
        ("uint16", 7, "zstd"),
        ("int16", -1, "none"),
        ("float32", float("nan"), "lzw"),
        ("float32", -9999, "deflate"),
        ("uint8", None, "deflate"),
    ],
)
def test_the_mosaic_has_the_pixels_of_the_source(
    tiling: Tiling, dtype: str, nodata: float | None, compression: str
) -> None:
    source = tiling.data_dir / "source.tif"
    rasters.write(source, dtype, nodata=nodata)

    result = tiling.run(overlap=5, compression=compression)

    rasters.assert_equal(source, tiling.target / "mosaic.tif")
    assert rasters.is_cog(tiling.target / "mosaic.tif")
    assert (result["tiles"], result["tiles_written_by_run"]) == (12, [12])
    assert (result["mosaic"], result["crs"]) == ("tiled/mosaic.tif", "EPSG:32632")
    assert result["bounds"] == [500_000, 5_300_000 - 700, 500_000 + 1_000, 5_300_000]
    assert tiling.left_behind() == []


def test_each_tile_is_a_cog_of_its_part_of_the_source_with_the_overlap(tiling: Tiling) -> None:
    source = tiling.data_dir / "source.tif"
    rasters.write(source)

    results = tiling.cut(overlap=5)

    parts = {0: (0, 0, 37, 37), 5: (27, 27, 42, 42), 11: (91, 59, 9, 11)}
    for index, part in parts.items():
        tile = tiling.target / "tiles" / results[index]["name"]
        assert (rasters.read(tile) == rasters.read(source, part)).all()
        assert rasters.is_cog(tile)
        with rasterio.open(tile) as dataset:
            west, south = 500_000 + 10 * part[0], 5_300_000 - 10 * (part[1] + part[3])
            assert list(dataset.bounds) == results[index]["bounds"]
            assert list(dataset.bounds)[:2] == [west, south]
    assert results[5]["name"] == "r00001_c00001.tif"


def test_names_scales_and_colors_of_bands_are_kept(tiling: Tiling) -> None:
    source = tiling.data_dir / "source.tif"
    rasters.write(source, size=(1, 40, 40), nodata=None)
    colors = {value: (value, 255 - value, 0, 255) for value in range(256)}
    with rasterio.open(source, "r+") as raster:
        raster.write_colormap(1, colors)
        raster.descriptions, raster.scales, raster.units = ["class"], [0.5], ["m"]

    tiling.run()

    for name in ("mosaic.tif", "tiles/r00001_c00001.tif"):
        with rasterio.open(tiling.target / name) as made:
            assert made.colormap(1) == colors
            assert (made.descriptions, made.scales, made.units) == (("class",), (0.5,), ("m",))


def test_the_list_of_tiles_has_a_line_for_each(tiling: Tiling) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    results = tiling.cut()
    (listing,) = tiling.tasks(2)

    assert tiling.run_task(listing, 2) == tiling.run_task(listing, 2)

    lines = (tiling.target / "tiles.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == results


def test_a_tile_that_is_cut_twice_is_the_same_file(tiling: Tiling) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    task = tiling.tasks(1)[3]
    first = tiling.run_task(task, 1)
    content = (tiling.target / "tiles" / first["name"]).read_bytes()

    assert tiling.run_task(task, 1) == first

    assert (tiling.target / "tiles" / first["name"]).read_bytes() == content
    assert [path.name for path in (tiling.target / "tiles").iterdir()] == [first["name"]]


def test_a_run_that_fails_leaves_the_tile_of_an_earlier_run_as_it_is(
    tiling: Tiling, monkeypatch: pytest.MonkeyPatch
) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    task = tiling.tasks(1)[0]
    tile = tiling.target / "tiles" / tiling.run_task(task, 1)["name"]
    content = tile.read_bytes()
    monkeypatch.setattr("controllers.tile_raster.rasters.copy_look", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        tiling.run_task(task, 1)

    assert tile.read_bytes() == content
    assert list((tiling.target / ".partial").iterdir()) == []


def test_a_source_that_changed_meanwhile_fails_the_task(tiling: Tiling) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    task = tiling.tasks(1)[0]
    rasters.write(tiling.data_dir / "source.tif", "uint16")

    with pytest.raises(SourceError, match=r"the source 'source\.tif' changed after the job began to read it"):
        tiling.run_task(task, 1)
    assert len(tiling.tasks(1)) == 12, "a dispatch that is replayed yields the same tasks"


def test_a_source_with_damaged_pixels_fails_the_task_with_a_reason_that_hides_data_dir(tiling: Tiling) -> None:
    source = tiling.data_dir / "source.tif"
    rasters.write(source, compress="deflate", nodata=None)
    content = source.read_bytes()
    source.write_bytes(content[:-5_000] + np.random.default_rng(2).bytes(5_000))

    with pytest.raises(RasterUnavailableError) as caught:
        tiling.cut()
    assert str(tiling.data_dir) not in str(caught.value)


def test_a_target_that_another_job_has_taken_fails_the_job(tiling: Tiling) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    tiling.cut()
    other = Tiling(tiling.data_dir, job_id="f" * 32)

    with pytest.raises(TargetError, match="the target 'tiled' exists already"):
        other.tasks(1, overlap=1)
    other.end(JobStatus.FAILED, overlap=1)

    assert tiling.left_behind() == [".partial"], "another job's end deletes nothing of this one"


def test_a_target_that_was_deleted_fails_the_task(tiling: Tiling) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    task = tiling.tasks(1)[0]
    tiling.target.rename(tiling.data_dir / "moved")

    with pytest.raises(TargetError, match="is not this job's any more"):
        tiling.run_task(task, 1)


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_the_end_of_a_job_deletes_what_is_not_complete_and_keeps_the_tiles(tiling: Tiling, status: JobStatus) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    tiling.cut()
    (tiling.target / ".partial" / "killed.tif").write_bytes(b"half")
    (tiling.data_dir / f".tile_raster-{tiling.job_id}-0").mkdir()

    for _ in range(2):
        tiling.end(status)

    assert tiling.left_behind() == []
    assert len(list((tiling.target / "tiles").iterdir())) == 12


def test_the_end_of_a_job_that_has_begun_nothing_is_no_error(tiling: Tiling) -> None:
    tiling.end(JobStatus.FAILED)


def test_a_tile_does_not_leave_data_dir_through_a_link(tiling: Tiling, tmp_path: Path) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    task = tiling.tasks(1)[0]
    tiling.target.rename(tmp_path / "out")
    tiling.target.symlink_to(tmp_path / "out")

    with pytest.raises(TargetError, match="lies outside DATA_DIR"):
        tiling.run_task(task, 1)


def test_tasks_of_a_large_grid_have_cursors(tiling: Tiling) -> None:
    rasters.write(tiling.data_dir / "source.tif")
    tasks: list[Any] = tiling.tasks(1)
    assert [task.cursor for task in tasks] == list(range(12))
