"""Small rasters, and how they are compared."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

PLACE = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_300_000)}


def write(file: Path, dtype: str = "uint8", size: tuple[int, int, int] = (2, 70, 100), **options: Any) -> None:
    """Writes noise of bands, rows and columns, and a corner of nodata."""
    pixels: NDArray[Any] = np.random.default_rng(1).integers(1, 100, size).astype(dtype)
    nodata = options.setdefault("nodata", 0)
    if nodata is not None:
        pixels[:, :20, :30] = nodata
    shape = {"count": size[0], "height": size[1], "width": size[2], "dtype": dtype}
    with rasterio.open(file, "w", driver="GTiff", **shape, **PLACE | options) as raster:
        raster.write(pixels)


def read(file: Path, window: tuple[int, int, int, int] | None = None) -> NDArray[Any]:
    with rasterio.open(file) as raster:
        pixels: NDArray[Any] = raster.read(window=window and Window(*window))
        return pixels


def assert_equal(file: Path, other: Path) -> None:
    """Asserts that two rasters have the same pixels, place and nodata value."""
    with rasterio.open(file) as one, rasterio.open(other) as two:
        assert one.read().tobytes() == two.read().tobytes()
        assert (one.crs, one.transform, one.dtypes) == (two.crs, two.transform, two.dtypes)
        assert str(one.nodata) == str(two.nodata)  # NaN is not equal to itself
        assert (one.descriptions, one.colorinterp) == (two.descriptions, two.colorinterp)


def is_cog(file: Path) -> bool:
    with rasterio.open(file) as raster:
        return bool(raster.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG")
