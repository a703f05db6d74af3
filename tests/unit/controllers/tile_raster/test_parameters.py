from typing import Any

import pytest
from pydantic import ValidationError

from controllers.tile_raster import TileRasterParameters


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tile_size": 100}, "multiple of 16"),
        ({"tile_size": 0}, "greater than or equal to 16"),
        ({"tile_size": "64"}, "valid integer"),
        ({"tile_size": 64, "overlap": 33}, "half of tile_size"),
        ({"overlap": -1}, "greater than or equal to 0"),
        ({"compression": "jpeg"}, "'deflate', 'lzw', 'zstd' or 'none'"),
        ({"source": "/etc/passwd"}, "relative to DATA_DIR"),
        ({"target": "../out"}, "relative to DATA_DIR"),
        ({"target": "./"}, "not DATA_DIR itself"),
        ({"target": "a/" + "ä" * 128}, "at most 255 bytes"),
        ({"format": "png"}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TileRasterParameters.model_validate({"source": "a.tif", "target": "b"} | changes)
