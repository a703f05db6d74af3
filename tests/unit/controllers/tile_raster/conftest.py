from importlib.util import find_spec

import pytest

from tests.unit.controllers.tile_raster.support import Tiling

if find_spec("rasterio") is None:  # test_requirements.py says so
    collect_ignore = ["test_cut.py", "test_mosaic.py", "test_sample.py", "test_submission.py"]


@pytest.fixture
def tiling(tmp_path_factory: pytest.TempPathFactory) -> Tiling:
    return Tiling(tmp_path_factory.mktemp("data"))
