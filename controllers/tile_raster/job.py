"""Cuts a GeoTIFF into tiles, lists them, and makes one raster of them again.

Three stages: a task cuts each tile, one task lists them from the results, one makes the mosaic. The tasks that call
GDAL are isolated: it is a large library in C that reads files of strangers.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from controllers import authoring as lockstep
from controllers.tile_raster.errors import (
    RasterError,
    RasterioMissingError,
    RasterUnavailableError,
    needing_rasterio,
)
from controllers.tile_raster.parameters import TileRasterParameters
from controllers.tile_raster.plan import Plan, SourceFile, Target, claim, claim_prefix, find_plan, plan_of, target_of
from controllers.tile_raster.tile_index import read_index, write_index

CUT_MIB = 768
MOSAIC_MIB = 768
"""Measured in docs/tile_raster.md."""


@lockstep.task_type("tile_raster.cut", lane=lockstep.Lane.LONG, isolated=True, timeout=900, max_memory_mib=CUT_MIB)
def cut(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Writes one tile; writing it again gives the same file."""
    with needing_rasterio():
        from controllers.tile_raster.cut import cut_tile  # noqa: PLC0415 - it imports rasterio

    plan, target = _own_plan(context, parameters)
    return cut_tile(plan, target, context.task_index, context.services.data_dir)


@lockstep.task_type("tile_raster.list", lane=lockstep.Lane.LONG)
def list_tiles(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Writes the list of the tiles from the results of the tasks that have cut them."""
    plan, target = _own_plan(context, parameters)
    return write_index(plan, target, context.previous_results())


@lockstep.task_type("tile_raster.mosaic", lane=lockstep.Lane.LONG, isolated=True, max_memory_mib=MOSAIC_MIB)
def mosaic(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Makes the mosaic, with checkpoints."""
    with needing_rasterio():
        from controllers.tile_raster.mosaic import Mosaic  # noqa: PLC0415 - it imports rasterio

    plan, target = _own_plan(context, parameters)
    return Mosaic(plan, target, context, read_index(target, parameters["sha256"])).make()


class TileRaster(lockstep.JobController[TileRasterParameters]):
    """Cuts a raster into tiles, and makes a mosaic of them."""

    job_type = "tile_raster"
    stages = (lockstep.StageSpec("cut"), lockstep.StageSpec("list"), lockstep.StageSpec("mosaic"))
    task_types = (cut, list_tiles, mosaic)

    def check_submission(self, parameters: TileRasterParameters, services: lockstep.Services) -> None:
        """Refuses a source that cannot be cut, and a target that exists already.

        Raises:
            InvalidParameterError: names the parameter.
            UnreachableError: the files cannot be read now, or this host has no rasterio.
        """
        try:
            source = _check_source(parameters, services)
            target = target_of(parameters.target, services.data_dir)
            found = find_plan(target)
        except RasterError as exc:
            raise lockstep.InvalidParameterError(exc.parameter, str(exc)) from exc
        except (RasterioMissingError, RasterUnavailableError) as exc:
            raise lockstep.UnreachableError(str(exc)) from exc
        if found is not None and found == _plan(found.job_id, parameters, source):
            return  # of a job with the same parameters, which was pruned; this one writes the same files again
        if target.directory.exists():
            raise lockstep.InvalidParameterError("target", f"{parameters.target!r} exists already")

    def create_stage_tasks(
        self, job: lockstep.JobContext[TileRasterParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        """Yields a task for each tile, then the one that lists them, then the one that makes the mosaic.

        Raises:
            RasterError: the source cannot be cut, or the target is not this job's.
            RasterUnavailableError: the files cannot be read now.
            RasterioMissingError: this host has no rasterio.
        """
        shared = {"target": job.parameters.target}
        match stage.name:
            case "cut":
                for index in range(stage.first_index, _claimed(job).grid.count):
                    yield cut.task(index, shared, cursor=index)
            case "list":
                yield list_tiles.task(0, shared)
            case _:
                yield mosaic.task(0, {**shared, "sha256": stage.previous_result["sha256"]})

    def aggregate_stage_results(
        self,
        job: lockstep.JobContext[TileRasterParameters],
        stage: lockstep.StageContext,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        """Returns the result of the stage's one task; the results of the tiles are listed by a task."""
        return None if stage.name == "cut" else next(results).result

    def aggregate_job_results(
        self, job: lockstep.JobContext[TileRasterParameters], stage_results: list[lockstep.JsonValue]
    ) -> lockstep.JsonValue:
        """Returns what the list and the mosaic have become."""
        _, listed, made = stage_results
        return {"tiles": listed["tiles"], "tile_bytes": listed["tile_bytes"], "tiles_sha256": listed["sha256"], **made}

    def job_ended(self, job: lockstep.JobContext[TileRasterParameters], outcome: lockstep.JobOutcome) -> None:
        """Deletes the files that are not complete.

        The tiles stay, also those of a job that failed or was cancelled: a retry or resume of it goes on with them.
        """
        target = target_of(job.parameters.target, job.services.data_dir)
        for left in target.directory.parent.glob(f"{claim_prefix(job.job_id)}*"):
            _delete(left)
        found = find_plan(target)
        if found is not None and found.job_id == job.job_id:
            _delete(target.partial)


def _own_plan(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> tuple[Plan, Target]:
    name = parameters["target"]
    target = target_of(name, context.services.data_dir)
    return plan_of(target, name, context.job_id), target


def _check_source(parameters: TileRasterParameters, services: lockstep.Services) -> SourceFile:
    with needing_rasterio():
        from controllers.tile_raster.source_check import check_source  # noqa: PLC0415 - it imports rasterio

    return check_source(parameters, services.data_dir)


def _claimed(job: lockstep.JobContext[TileRasterParameters]) -> Plan:
    """Returns the plan of the job, which the first dispatch makes."""
    target = target_of(job.parameters.target, job.services.data_dir)
    found = find_plan(target)
    if found is not None and found.job_id == job.job_id:
        return found
    return claim(target, _plan(job.job_id, job.parameters, _check_source(job.parameters, job.services)))


def _plan(job_id: str, given: TileRasterParameters, source: SourceFile) -> Plan:
    return Plan(job_id, given.target, source, given.tile_size, given.overlap, given.compression)


def _delete(directory: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)
