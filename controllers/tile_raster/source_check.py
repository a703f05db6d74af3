"""What a raster must be to be cut. Imports rasterio, so it is itself imported late."""

from pathlib import Path
from typing import Any

from controllers.tile_raster import rasters
from controllers.tile_raster.errors import SourceError, TileSizeError
from controllers.tile_raster.parameters import TileRasterParameters
from controllers.tile_raster.plan import SourceFile
from controllers.tile_raster.tile_grid import TileGrid

MAX_TILES = 20_000
MAX_TILE_BYTES = 128 * 1024 * 1024
"""The pixels of one tile with its overlap: a task holds them twice, beside what compresses them."""

_DTYPES = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"})


def check_source(given: TileRasterParameters, data_dir: Path) -> SourceFile:
    """Returns what the source is.

    Raises:
        SourceError: it is no raster that can be cut.
        TileSizeError: tiles of this size would be too many or too large.
        RasterUnavailableError: it cannot be read now.
    """
    with rasters.gdal(data_dir), rasters.open_source(given.source, data_dir) as (source, dataset):
        _check_kind(dataset)
        _check_tiles(source, given, dataset)
        return source


def _check_kind(dataset: Any) -> None:
    if dataset.crs is None or not dataset.transform.is_rectilinear:
        raise SourceError("the raster has no coordinate reference system, or is rotated")
    if dataset.dtypes[0] not in _DTYPES:  # a GeoTIFF has one type for all bands
        raise SourceError(f"pixels of the type {dataset.dtypes[0]} cannot be cut, only {', '.join(sorted(_DTYPES))}")
    if rasters.has_mask(dataset):
        raise SourceError("the raster has a mask of its own, which tiles would lose; give it a nodata value instead")


def _check_tiles(source: SourceFile, given: TileRasterParameters, dataset: Any) -> None:
    grid = TileGrid(source.width, source.height, given.tile_size, given.overlap)
    if grid.count > MAX_TILES:
        raise TileSizeError(f"the raster would have {grid.count:,} tiles, and the limit is {MAX_TILES:,}")
    side = given.tile_size + 2 * given.overlap
    size = min(side, source.width) * min(side, source.height) * rasters.pixel_bytes(dataset)
    if size > MAX_TILE_BYTES:
        raise TileSizeError(f"the pixels of a tile would take {size:,} bytes, and the limit is {MAX_TILE_BYTES:,}")
