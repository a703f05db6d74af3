"""Makes one raster of all tiles. Imports rasterio, so it is itself imported late.

The tiles are written into a file of pieces: uncompressed, with a place for each block, so that a tile that is written
twice, or half, takes the same place. A COG is made of it at once, because GDAL makes one only as a copy of a whole
raster. Then each tile's pixels in the COG are compared with those that were cut.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil

from controllers import authoring as lockstep
from controllers.tile_raster import rasters
from controllers.tile_raster.durable_files import publish, sync
from controllers.tile_raster.errors import RasterUnavailableError, TargetError
from controllers.tile_raster.mosaic_state import Checkpoints, MosaicState
from controllers.tile_raster.plan import Plan, Target
from controllers.tile_raster.tile_grid import Box

_TOKEN_TAG = "LOCKSTEP_MOSAIC"  # noqa: S105 - a name of a tag; the token tells the files of one mosaic from another's
_WRITING, _COPYING = 0.6, 0.85
"""The progress when all pieces are written, and when the COG is made."""


class Mosaic:
    """One run of the task that makes the mosaic.

    Args:
        plan: of the job.
        target: of the job.
        context: of the task.
        checksums: the CRC-32 of each tile's core.
    """

    def __init__(self, plan: Plan, target: Target, context: lockstep.TaskContext, checksums: Sequence[int]) -> None:
        self._plan = plan
        self._grid = plan.grid
        self._target = target
        self._context = context
        self._checksums = checksums
        self._checkpoints = Checkpoints(context, MosaicState.load(context.last_checkpoint))

    def make(self) -> lockstep.JsonValue:
        """Goes on where the last run stopped; returns the result of the task.

        Raises:
            TargetError: a tile is not there any more, or has other pixels.
            RasterUnavailableError: a file cannot be read or written now, or the mosaic has other pixels than the tiles.
            ContinueLater: the time of a run is over.
        """
        with rasters.gdal(self._context.services.data_dir):
            if not self._is_published():
                self._begin_anew_without_files()
                self._write_pieces()
                self._make_cog()
                self._verify()
                publish(self._cog, self._target.mosaic)
            self._pieces.unlink(missing_ok=True)
            return self._result()

    @property
    def _state(self) -> MosaicState:
        return self._checkpoints.state

    @property
    def _pieces(self) -> Path:
        return self._target.partial / f"{self._state.token}-pieces.tif"

    @property
    def _cog(self) -> Path:
        return self._target.partial / self._state.cog

    def _is_published(self) -> bool:
        """Whether an earlier run was killed after it had renamed the COG."""
        if self._state.verified < self._grid.count or self._cog.exists() or not self._target.mosaic.exists():
            return False
        with rasterio.open(self._target.mosaic) as dataset:
            return bool(dataset.tags().get(_TOKEN_TAG) == self._state.token)

    def _begin_anew_without_files(self) -> None:
        """Forgets the checkpoint when its files were deleted: they are when a job has ended, which may be retried."""
        needed = self._cog if self._state.cog else self._pieces
        if self._state.written and not needed.exists():
            self._checkpoints = Checkpoints(self._context, MosaicState())

    def _write_pieces(self) -> None:
        if not self._state.written:
            self._create_pieces()
        while self._state.written < self._grid.count:
            first = self._state.written
            with rasterio.open(self._pieces, "r+") as pieces:
                written = self._write_until_due(pieces, first)
            sync(self._pieces)
            self._checkpoints.write(written=first + written)

    def _write_until_due(self, pieces: Any, first: int) -> int:
        """Writes tiles until a checkpoint is due; returns how many."""
        for index in range(first, self._grid.count):
            core = self._grid.tile(index).core
            pieces.write(self._read_tile(index), window=rasters.window(core))
            self._progress(_WRITING * (index + 1) / self._grid.count, f"wrote tile {index + 1}")
            if self._checkpoints.is_due(index + 1 - first):
                return index + 1 - first
        return self._grid.count - first

    def _create_pieces(self) -> None:
        self._checkpoints.keep()  # with the name of the file: a run that is killed here leaves one, not many
        self._target.partial.mkdir(exist_ok=True)
        side = rasters.block_size(self._plan.tile_size)
        with _tile(self._target, self._grid.tile(0).name) as first:
            whole = Box(0, 0, self._grid.width, self._grid.height)
            made_with = rasters.profile_of(first, whole)  # the first tile has the corner of the whole raster
            made_with |= {"driver": "GTiff", "tiled": True, "blockxsize": side, "blockysize": side}
            with rasterio.open(self._pieces, "w", **made_with, bigtiff="if_safer") as pieces:
                rasters.copy_look(first, pieces)
                pieces.update_tags(**{_TOKEN_TAG: self._state.token})

    def _read_tile(self, index: int) -> Any:
        """Returns the pixels of a tile without its overlap."""
        tile = self._grid.tile(index)
        with _tile(self._target, tile.name) as dataset:
            if (dataset.width, dataset.height) == (tile.outer.width, tile.outer.height):
                pixels = dataset.read(window=rasters.window(tile.core.within(tile.outer)))
                if rasters.checksum(pixels) == self._checksums[index]:
                    return pixels
        raise TargetError(f"the tile {tile.name} has other pixels than those that were cut")

    def _make_cog(self) -> None:
        if self._state.cog:
            return
        self._progress(_WRITING, "making the COG")
        for left in self._target.partial.glob(f"{self._state.token}-mosaic-*"):  # of a run that was killed
            left.unlink(missing_ok=True)
        # A name of its own: a run whose lease was lost may still be in GDAL's code, which nothing can interrupt.
        cog = self._target.partial / f"{self._state.token}-mosaic-{secrets.token_hex(4)}.tif"
        rasterio.shutil.copy(self._pieces, cog, **rasters.cog_options(self._plan))
        sync(cog)
        self._checkpoints.write(cog=cog.name)

    def _verify(self) -> None:
        """Compares the pixels of the COG with those of the tiles."""
        with rasterio.open(self._cog) as cog:
            for index in range(self._state.verified, self._grid.count):
                pixels = cog.read(window=rasters.window(self._grid.tile(index).core))
                if rasters.checksum(pixels) != self._checksums[index]:
                    self._context.checkpoint(None)
                    self._pieces.unlink(missing_ok=True)
                    self._cog.unlink()
                    name = self._grid.tile(index).name
                    raise RasterUnavailableError(f"the mosaic has other pixels than the tile {name}; it is made anew")
                done = index + 1
                self._progress(_COPYING + (1 - _COPYING) * done / self._grid.count, f"compared tile {done}")
                if done == self._grid.count or self._checkpoints.is_due(done - self._state.verified):
                    self._checkpoints.write(verified=done)

    def _progress(self, fraction: float, note: str) -> None:
        self._context.progress(fraction, f"{note} of {self._grid.count}" if note[-1].isdigit() else note)

    def _result(self) -> dict[str, lockstep.JsonValue]:
        with rasterio.open(self._target.mosaic) as dataset:
            return {
                "mosaic": f"{self._plan.target.rstrip('/')}/{self._target.mosaic.name}",
                "bytes": self._target.mosaic.stat().st_size,
                "bounds": [float(border) for border in dataset.bounds],
                "crs": dataset.crs.to_string(),
                "width": dataset.width,
                "height": dataset.height,
                "bands": dataset.count,
                "dtype": dataset.dtypes[0],
                "overviews": dataset.overviews(1),
                "tiles_written_by_run": list(self._state.runs),
            }


@contextmanager
def _tile(target: Target, name: str) -> Iterator[Any]:
    path = target.tiles / name
    if not path.is_file():
        raise TargetError(f"the tile {name} was deleted")
    with rasterio.open(path) as dataset:
        yield dataset
