import hashlib
from pathlib import Path

import pytest
import rasterio

from samples.raster import DTYPES, main, write_raster


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sample_has_several_bands_a_place_and_pixels_of_nodata(tmp_path: Path, dtype: str) -> None:
    write_raster(tmp_path / "raster.tif", 300, 280, bands=2, dtype=dtype)
    with rasterio.open(tmp_path / "raster.tif") as raster:
        pixels = raster.read()
        assert (raster.count, raster.width, raster.height, raster.dtypes[0]) == (2, 300, 280, dtype)
        assert (raster.crs.to_epsg(), raster.nodata) == (32632, 7)
    assert 0.01 < (pixels == 7).mean() < 0.1
    assert len(set(pixels.ravel().tolist())) > 100


def test_the_same_options_give_the_same_pixels(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        main([str(tmp_path / name), "--width", "300", "--height", "20", "--bands", "1", "--dtype", "uint16"])
    with rasterio.open(tmp_path / "a.tif") as one, rasterio.open(tmp_path / "b.tif") as two:
        pixels = one.read().tobytes()
        assert pixels == two.read().tobytes()
    assert hashlib.sha256(pixels).hexdigest()[:8] == "69b3fc52"
