"""The parameters of a job; their descriptions are the text of the OpenAPI document."""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from controllers import authoring as lockstep

BLOCK = 16
"""GeoTIFF's blocks have sides that are multiples of this."""

_MAX_NAME_BYTES = 255
"""Of a file system."""


class Compression(StrEnum):
    """How the tiles and the mosaic are compressed; each keeps every pixel as it is."""

    DEFLATE = "deflate"
    LZW = "lzw"
    ZSTD = "zstd"
    NONE = "none"


def _check_target(target: str) -> str:
    if PurePosixPath(lockstep.check_data_path(target)) == PurePosixPath():
        raise ValueError("the target is a directory inside DATA_DIR, not DATA_DIR itself")
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in PurePosixPath(target).parts):
        raise ValueError(f"the name of a directory has at most {_MAX_NAME_BYTES} bytes")
    return target


class TileRasterParameters(lockstep.JobParameters):
    """Which raster to cut, how, and where the tiles and the mosaic go."""

    source: Annotated[str, AfterValidator(lockstep.check_data_path)] = Field(
        min_length=1, max_length=1_000, description="a GeoTIFF, as a path relative to DATA_DIR"
    )
    target: Annotated[str, AfterValidator(_check_target)] = Field(
        min_length=1,
        max_length=1_000,
        description="the directory that the job makes, as a path relative to DATA_DIR; it must not exist. "
        "The job writes tiles/*.tif, tiles.jsonl and mosaic.tif there",
    )
    tile_size: int = Field(
        default=1_024,
        ge=BLOCK,
        le=16_384,
        multiple_of=BLOCK,
        strict=True,
        description="the width and the height of a tile in pixels, without its overlap; a multiple of 16",
    )
    overlap: int = Field(
        default=0,
        ge=0,
        strict=True,
        description="how many pixels of its neighbours a tile repeats on each side, half of tile_size at most",
    )
    compression: Compression = Field(
        default=Compression.DEFLATE, description="of the tiles and the mosaic; none of them loses anything"
    )

    @model_validator(mode="after")
    def _check_overlap(self) -> "TileRasterParameters":
        if self.overlap * 2 > self.tile_size:
            raise ValueError("overlap is half of tile_size at most")
        return self
