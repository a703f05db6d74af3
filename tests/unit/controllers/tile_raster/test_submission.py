"""What `check_submission` finds before a job is accepted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from controllers.authoring import InvalidParameterError, UnreachableError
from controllers.tile_raster import source_check
from tests.unit.controllers.tile_raster import rasters
from tests.unit.controllers.tile_raster.support import Tiling


def refusal(tiling: Tiling, **changes: Any) -> tuple[str, str]:
    with pytest.raises(InvalidParameterError) as caught:
        tiling.submit(**changes)
    (error,) = caught.value.errors
    assert str(tiling.data_dir) not in error.message
    return error.field, error.message


@pytest.fixture
def source(tiling: Tiling) -> Path:
    file = tiling.data_dir / "source.tif"
    rasters.write(file)
    return file


@pytest.mark.usefixtures("source")
def test_a_raster_that_fits_is_accepted(tiling: Tiling) -> None:
    tiling.submit()
    tiling.submit(target="new/folder/tiled")
    assert [path.name for path in tiling.data_dir.iterdir()] == ["source.tif"], "a check writes nothing"


def test_a_missing_source_is_refused(tiling: Tiling) -> None:
    assert refusal(tiling) == ("source", "there is no file 'source.tif' in DATA_DIR")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"II*\x00garbage",
        b'<VRTDataset rasterXSize="1" rasterYSize="1"><SRS>EPSG:4326</SRS></VRTDataset>',
    ],
)
def test_a_file_that_is_no_geotiff_is_refused(tiling: Tiling, content: bytes) -> None:
    (tiling.data_dir / "source.tif").write_bytes(content)
    assert refusal(tiling) == ("source", "the source 'source.tif' is no GeoTIFF that GDAL can open")


def test_a_truncated_raster_is_refused(tiling: Tiling, source: Path) -> None:
    source.write_bytes(source.read_bytes()[:100])
    assert refusal(tiling)[0] == "source"


def test_a_source_out_of_data_dir_is_refused(tiling: Tiling, source: Path, tmp_path: Path) -> None:
    source.rename(tmp_path / "out.tif")
    (tiling.data_dir / "source.tif").symlink_to(tmp_path / "out.tif")
    assert refusal(tiling) == ("source", "the source 'source.tif' lies outside DATA_DIR")


def test_a_source_that_cannot_be_read_now_is_unreachable(
    tiling: Tiling, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(UnreachableError, match=r"'source\.tif' cannot be read now: Input/output error"):
        tiling.submit()


@pytest.mark.usefixtures("source")
def test_a_target_that_cannot_be_read_now_is_unreachable(tiling: Tiling, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("controllers.authoring.place_of", fail)
    with pytest.raises(UnreachableError, match="the target cannot be read now: Input/output error"):
        tiling.submit()


@pytest.mark.usefixtures("source")
def test_a_target_that_exists_is_refused(tiling: Tiling) -> None:
    tiling.target.mkdir()
    assert refusal(tiling) == ("target", "'tiled' exists already")
    tiling.target.rmdir()
    tiling.target.write_text("a file")
    assert refusal(tiling) == ("target", "'tiled' exists already")


@pytest.mark.usefixtures("source")
def test_a_target_out_of_data_dir_is_refused(tiling: Tiling, tmp_path: Path) -> None:
    (tiling.data_dir / "out").symlink_to(tmp_path)
    assert refusal(tiling, target="out/tiled") == ("target", "the target 'out/tiled' lies outside DATA_DIR")


@pytest.mark.usefixtures("source")
def test_only_a_job_with_the_same_parameters_and_source_may_write_to_a_target_again(tiling: Tiling) -> None:
    tiling.run()

    tiling.submit()
    assert refusal(tiling, overlap=1) == ("target", "'tiled' exists already")
    rasters.write(tiling.data_dir / "source.tif", "uint16")
    assert refusal(tiling) == ("target", "'tiled' exists already")


@pytest.mark.usefixtures("source")
def test_too_many_and_too_large_tiles_are_refused(tiling: Tiling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_check, "MAX_TILES", 11)
    assert refusal(tiling) == ("tile_size", "the raster would have 12 tiles, and the limit is 11")
    monkeypatch.setattr(source_check, "MAX_TILE_BYTES", 2 * 64 * 64 - 1)
    assert refusal(tiling, tile_size=48, overlap=8) == (
        *("tile_size", "the pixels of a tile would take 8,192 bytes, and the limit is 8,191"),
    )


def _complex(file: Path) -> None:
    rasters.write(file, "complex64")


def _without_place(file: Path) -> None:
    rasters.write(file, crs=None)


def _rotated(file: Path) -> None:
    rasters.write(file, transform=rasterio.Affine(10, 5, 0, 5, -10, 0))


def _with_mask(file: Path) -> None:
    rasters.write(file, nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(file, "r+") as raster:
        raster.write_mask(np.zeros((70, 100), dtype="uint8"))


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (_complex, "pixels of the type complex64 cannot be cut"),
        (_without_place, "no coordinate reference system"),
        (_rotated, "or is rotated"),
        (_with_mask, "a mask of its own"),
    ],
)
def test_a_raster_that_tiles_cannot_express_is_refused(
    tiling: Tiling, write: Callable[[Path], None], reason: str
) -> None:
    write(tiling.data_dir / "source.tif")
    field, message = refusal(tiling)
    assert field == "source"
    assert reason in message


@pytest.mark.usefixtures("source")
def test_neighbours_of_the_source_are_not_read(tiling: Tiling) -> None:
    (tiling.data_dir / "source.tif.aux.xml").write_text("<broken")
    tiling.run()
