"""Makes a GeoTIFF for the job type `tile_raster`: `python -m samples.raster raster.tif`.

The same options give the same pixels. They are noise over waves, so that no two tiles are alike and nothing compresses
to almost nothing, with an ellipse of nodata in the middle.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

NODATA = 7
DTYPES = ("uint8", "int16", "uint16", "float32")
_ROWS = 256
_RANGES = {"uint8": 200.0, "int16": 20_000.0, "uint16": 60_000.0, "float32": 1_000.0}


def write_raster(file: Path, width: int, height: int, *, bands: int = 3, dtype: str = "uint8") -> None:
    """Writes the raster, in UTM zone 32N with pixels of 10 m."""
    made_with = {"width": width, "height": height, "count": bands, "dtype": dtype, "nodata": NODATA, "bigtiff": "yes"}
    made_with |= {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_300_000)}
    made_with |= {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": _ROWS, "compress": "deflate"}
    with rasterio.open(file, "w", **made_with) as raster:
        for top in range(0, height, _ROWS):
            rows = min(_ROWS, height - top)
            for band in range(bands):
                values = _pixels(width, height, top, rows, band)
                pixels = np.where(values < 0, NODATA, NODATA + 1 + values * _RANGES[dtype])
                raster.write(pixels.astype(dtype), band + 1, window=Window(0, top, width, rows))
        raster.descriptions = [f"band {band + 1} of the sample" for band in range(bands)]


def _pixels(width: int, height: int, top: int, rows: int, band: int) -> NDArray[np.float64]:
    """Returns values from 0 to 1, or less than 0 where there is no data."""
    y, x = np.mgrid[top : top + rows, 0:width].astype(np.uint32)
    # A hash of the place, by Knuth's and similar odd multipliers: noise that needs no state.
    noise = (x * np.uint32(2_654_435_761)) ^ (y * np.uint32(2_246_822_519)) ^ np.uint32((band + 1) * 374_761_393)
    noise = (noise ^ (noise >> np.uint32(15))) * np.uint32(2_246_822_519)
    waves = (np.abs(x * 3.0 % 1_024 - 512) + np.abs((y + 97 * band) * 5.0 % 1_024 - 512)) / 1_024
    values = 0.8 * waves + 0.2 * (noise >> np.uint32(8)) / 2**24
    in_ellipse = ((x / width - 0.5) / 0.2) ** 2 + ((y / height - 0.5) / 0.1) ** 2 < 1
    return np.where(in_ellipse, -1.0, values)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, and writes the raster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--width", type=int, default=4_096)
    parser.add_argument("--height", type=int, default=4_096)
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--dtype", choices=DTYPES, default="uint8")
    given = parser.parse_args(arguments)
    write_raster(given.file, given.width, given.height, bands=given.bands, dtype=given.dtype)


if __name__ == "__main__":
    main()
