from controllers.tile_raster.job import TileRaster
from controllers.tile_raster.parameters import TileRasterParameters

__all__ = ["TileRaster", "TileRasterParameters"]
