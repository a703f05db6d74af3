"""The guards of `tile_raster`, each with the tests that fail without it; none where rasterio is not installed."""

from collections.abc import Sequence
from importlib.util import find_spec

from tests.faults.mutants import Edit

_FILES = "controllers/tile_raster"
_TESTS = "tests/unit/controllers/tile_raster"

_GUARDS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the tiles of a mosaic that a checkpoint counts": (
        [Edit(f"{_FILES}/mosaic.py", "MosaicState.load(context.last_checkpoint)", "MosaicState()")],
        [
            f"{_TESTS}/test_mosaic.py::test_a_run_goes_on_after_the_tiles_of_the_last_checkpoint",
            f"{_TESTS}/test_mosaic.py::test_a_run_whose_time_is_over_goes_on_in_another",
        ],
    ),
    "the checksum of a tile that a mosaic reads": (
        [Edit(f"{_FILES}/mosaic.py", "if rasters.checksum(pixels) == self._checksums[index]:", "if True:")],
        [
            f"{_TESTS}/test_mosaic.py::test_a_tile_that_is_not_what_was_cut_fails_the_task[changed]",
        ],
    ),
    "the comparison of a mosaic with its tiles": (
        [Edit(f"{_FILES}/mosaic.py", "if rasters.checksum(pixels) != self._checksums[index]:", "if False:")],
        [f"{_TESTS}/test_mosaic.py::test_pieces_that_the_disk_has_lost_are_noticed_and_written_again"],
    ),
    "the files that a checkpoint of a mosaic needs": (
        [Edit(f"{_FILES}/mosaic.py", "                self._begin_anew_without_files()\n")],
        [
            f"{_TESTS}/test_mosaic.py::{test}"
            for test in (
                "test_a_mosaic_whose_pieces_were_deleted_at_the_end_of_the_job_begins_anew",
                "test_a_mosaic_of_an_earlier_job_is_not_taken_for_this_ones",
            )
        ],
    ),
    "the partial name of a tile": (
        [Edit(f"{_FILES}/durable_files.py", 'partial_directory / f"{secrets.token_hex(8)}-{path.name}"', "path")],
        [f"{_TESTS}/test_cut.py::test_a_run_that_fails_leaves_the_tile_of_an_earlier_run_as_it_is"],
    ),
    "the source that a job began with": (
        [Edit(f"{_FILES}/rasters.py", "        if found != plan.source:", "        if False:")],
        [f"{_TESTS}/test_cut.py::test_a_source_that_changed_meanwhile_fails_the_task"],
    ),
    "the job whose target it is": (
        [Edit(f"{_FILES}/plan.py", "if found is not None and found.job_id == plan.job_id:", "if found is not None:")],
        [f"{_TESTS}/test_cut.py::test_a_target_that_another_job_has_taken_fails_the_job"],
    ),
}
MUTATIONS = _GUARDS if find_spec("rasterio") else {}
