import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

_WITHOUT_RASTERIO = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"rasterio", "numpy"}:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Hidden())
"""

_REFUSED_SUBMISSION = """
from controllers import authoring as lockstep
from controllers.registry import Registry
from pathlib import Path

registry = Registry()
controller = registry.controller("tile_raster")
services = lockstep.Services(Path("data"), frozenset(), None)
try:
    controller.check_submission(controller.Parameters(source="a.tif", target="b"), services)
except lockstep.UnreachableError as exc:
    print(*registry.job_types, exc, sep="\\n")
"""

_RETRIED_TASKS = """
from controllers import authoring as lockstep
from controllers.registry import Registry

for name in ("tile_raster.cut", "tile_raster.mosaic"):
    try:
        Registry().task_type(name).handler(None, {})
    except lockstep.LockstepError as exc:
        print(isinstance(exc, lockstep.PermanentTaskError), type(exc).__name__, exc)
"""

_UNUSED = """
import function_app, sys
from controllers.registry import Registry

Registry()
print("rasterio" in sys.modules, "numpy" in sys.modules)
"""


def _run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_rasterio_is_installed_where_the_tests_have_to_be_complete() -> None:
    if find_spec("rasterio") is None:
        assert not os.environ.get("CI"), "pip install -r requirements-geo.txt"
        pytest.skip("rasterio is not installed: the tests of tile_raster that need it do not run")


def test_without_rasterio_the_other_job_types_work_and_a_submission_says_what_is_missing() -> None:
    assert _run(_WITHOUT_RASTERIO + _REFUSED_SUBMISSION) == [
        *("hello_world", "ingest_csv", "tile_raster", "verify_files"),
        "tile_raster needs rasterio: pip install -r requirements-geo.txt (No module named 'rasterio')",
    ]


def test_without_rasterio_a_task_is_retried_because_another_host_may_have_it() -> None:
    for line in _run(_WITHOUT_RASTERIO + _RETRIED_TASKS):
        assert line.startswith("False RasterioMissingError tile_raster needs rasterio: pip install")


def test_a_host_without_a_job_that_needs_it_does_not_import_rasterio() -> None:
    assert _run(_UNUSED) == ["False False"]
