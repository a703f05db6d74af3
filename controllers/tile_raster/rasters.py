"""Opens rasters with GDAL: the source, tiles and mosaics. Imports rasterio, so it is itself imported late."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from numpy import dtype
from rasterio._err import CPLE_BaseError
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window, bounds

from controllers import authoring as lockstep
from controllers.tile_raster.errors import RasterUnavailableError, SourceError
from controllers.tile_raster.parameters import BLOCK
from controllers.tile_raster.plan import Plan, SourceFile
from controllers.tile_raster.tile_grid import Box

CACHE_MIB = 64
"""Of blocks that GDAL keeps in a process; by itself it would take 5% of the machine's memory."""

_MAX_BLOCK = 512
_MIN_COG_BLOCK = 128
_OPTIONS = {
    "GDAL_CACHEMAX": CACHE_MIB,
    "GDAL_NUM_THREADS": 1,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # nothing but the file itself: its neighbours are not the client's
    "GDAL_PAM_ENABLED": "NO",  # no .aux.xml beside a raster
}


@contextmanager
def gdal(data_dir: Path) -> Iterator[None]:
    """Surrounds all work with rasters.

    Raises:
        RasterUnavailableError: GDAL cannot read or write one; the error does not say where DATA_DIR lies.
    """
    try:
        with rasterio.Env(**_OPTIONS):
            yield
    except (RasterioError, CPLE_BaseError) as exc:
        root = data_dir.resolve()
        raise RasterUnavailableError(str(exc).replace(f"{root}/", "").replace(str(root), "DATA_DIR")) from exc


@contextmanager
def open_source(path: str, data_dir: Path) -> Iterator[tuple[SourceFile, Any]]:
    """Opens a source.

    Raises:
        SourceError: there is no such file, or it is no GeoTIFF.
        RasterUnavailableError: it cannot be read now.
    """
    try:
        file = lockstep.existing_file(path, data_dir, "the source")
        with file.open("rb") as stream:  # GDAL would say "no raster" of a file that cannot be read
            stream.read(1)
        found = file.stat()
    except lockstep.DataPathError as exc:
        raise SourceError(str(exc)) from exc
    except OSError as exc:
        raise RasterUnavailableError(f"the source {path!r} cannot be read now: {exc.strerror}") from exc
    try:
        dataset = rasterio.open(file, driver="GTiff")  # a driver such as VRT would read other files
    except RasterioError as exc:
        raise SourceError(f"the source {path!r} is no GeoTIFF that GDAL can open") from exc
    with dataset:
        yield (
            SourceFile(
                path, found.st_size, found.st_mtime_ns, dataset.width, dataset.height, dataset.count, dataset.dtypes[0]
            ),
            dataset,
        )


@contextmanager
def open_planned_source(plan: Plan, data_dir: Path) -> Iterator[Any]:
    """Opens the source of a job that is under way.

    Raises:
        SourceError: it is not the file that the job began with.
        RasterUnavailableError: it cannot be read now.
    """
    with open_source(plan.source.path, data_dir) as (found, dataset):
        if found != plan.source:
            raise SourceError(
                f"the source {plan.source.path!r} changed after the job began to read it; "
                "submit a job with another target for the new file"
            )
        yield dataset


def has_mask(dataset: Any) -> bool:
    """Whether the raster has a mask of its own, which is neither a nodata value nor an alpha band."""
    return any(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags for flags in dataset.mask_flag_enums)


def pixel_bytes(dataset: Any) -> int:
    """The bytes of one pixel, all bands together."""
    return int(dtype(dataset.dtypes[0]).itemsize) * int(dataset.count)


def window(box: Box) -> Window:
    """The box as rasterio has it."""
    return Window(box.left, box.top, box.width, box.height)


def bounds_of(dataset: Any, box: Box) -> list[float]:
    """The west, south, east and north border of a box, in the coordinates of the raster."""
    return [float(border) for border in bounds(window(box), dataset.transform)]


def checksum(pixels: Any) -> int:
    """The CRC-32 of pixels, band after band."""
    return zlib.crc32(pixels.tobytes())


def profile_of(dataset: Any, box: Box) -> dict[str, Any]:
    """What a raster with these pixels of the dataset is made with."""
    return {
        "width": box.width,
        "height": box.height,
        "count": dataset.count,
        "dtype": dataset.dtypes[0],
        "crs": dataset.crs,
        "transform": dataset.window_transform(window(box)),
        "nodata": dataset.nodata,
    }


def cog_options(plan: Plan) -> Mapping[str, Any]:
    """The options of GDAL's COG driver."""
    # A nearest neighbour is a value that the raster has, which a mean of classes or of nodata is not.
    return {
        "driver": "COG",
        "compress": plan.compression.value,
        "blocksize": max(_MIN_COG_BLOCK, block_size(plan.tile_size)),
        "resampling": "nearest",
        "overviews": "auto",
        "bigtiff": "if_safer",
    }


def block_size(tile_size: int) -> int:
    """The side of a block: the largest that tiles consist of, so that no two tiles share a block of the mosaic."""
    return next(side for side in range(_MAX_BLOCK, 0, -BLOCK) if tile_size % side == 0)


def copy_look(source: Any, dataset: Any) -> None:
    """Copies what tells a person or a program how to show the bands."""
    dataset.descriptions = source.descriptions
    dataset.scales, dataset.offsets, dataset.units = source.scales, source.offsets, source.units
    dataset.colorinterp = source.colorinterp
    for band in source.indexes:
        if source.colorinterp[band - 1].name == "palette":
            dataset.write_colormap(band, source.colormap(band))
