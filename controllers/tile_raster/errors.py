"""The errors of tiling a raster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from controllers import authoring as lockstep


class RasterError(lockstep.JobFailure, lockstep.PermanentTaskError):
    """The job or the task cannot be done, now or later.

    Class attributes:
        parameter: the one that a submission is refused for.
    """

    parameter: ClassVar[str]


class SourceError(RasterError):
    """The source is not a raster that can be cut, or not the one that the job began with."""

    parameter = "source"


class TileSizeError(RasterError):
    """The source cannot be cut into tiles of this size."""

    parameter = "tile_size"


class TargetError(RasterError):
    """The target cannot be used, or does not have what the job has written."""

    parameter = "target"


class RasterUnavailableError(lockstep.LockstepError):
    """A raster cannot be read or written now; another attempt may succeed."""


class RasterioMissingError(lockstep.LockstepError):
    """This host has no rasterio; another one may have it, as in a deployment that is under way."""


@contextmanager
def needing_rasterio() -> Iterator[None]:
    """Surrounds the imports of modules that import rasterio, which is not a requirement of the app.

    So it is imported when a job of this type needs it, and by no other host.

    Raises:
        RasterioMissingError: it is not installed, or a library that it needs is not.
    """
    try:
        yield
    except ImportError as exc:
        raise RasterioMissingError(f"tile_raster needs rasterio: pip install -r requirements-geo.txt ({exc})") from exc
