"""Cuts one tile. Imports rasterio, so it is itself imported late."""

from pathlib import Path

import rasterio

from controllers import authoring as lockstep
from controllers.tile_raster import rasters
from controllers.tile_raster.durable_files import written_whole
from controllers.tile_raster.plan import Plan, Target


def cut_tile(plan: Plan, target: Target, index: int, data_dir: Path) -> lockstep.JsonValue:
    """Writes the file of a tile; a run that is killed leaves no file that is not complete.

    Raises:
        SourceError: the source is not the one that the job began with.
        RasterUnavailableError: the source cannot be read, or the tile not be written now.
    """
    tile = plan.grid.tile(index)
    path = target.tiles / tile.name
    with rasters.gdal(data_dir), written_whole(path, target.partial) as partial:
        with rasters.open_planned_source(plan, data_dir) as source:
            pixels = source.read(window=rasters.window(tile.outer))
            made_with = {**rasters.profile_of(source, tile.outer), **rasters.cog_options(plan)}
            with rasterio.open(partial, "w", **made_with) as dataset:
                rasters.copy_look(source, dataset)
                dataset.write(pixels)
            bounds = rasters.bounds_of(source, tile.outer)
        core = tile.core.within(tile.outer)
        return {
            "name": tile.name,
            "bounds": bounds,
            "bytes": partial.stat().st_size,
            "crc32": rasters.checksum(pixels[:, core.top : core.bottom, core.left : core.right]),
        }
