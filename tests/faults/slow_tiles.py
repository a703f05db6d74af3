"""`tile_raster` with tiles that take long, tiles that crash their process once, and a diary of all work.

The diary is a file beside the source. Each line is appended by one write, so it holds what was done before a SIGKILL.
"""

import os
import re
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field
from typing_extensions import override

from controllers import authoring as lockstep
from controllers.run_state import RunState
from controllers.tile_raster import TileRaster, TileRasterParameters
from controllers.tile_raster.job import CUT_MIB, MOSAIC_MIB, cut, list_tiles, mosaic

DIARY = "diary.txt"
_STEPS = 5


class SlowTilesParameters(TileRasterParameters):
    slow: tuple[int, ...] = Field(description="tiles that take long")
    slow_seconds: int
    crash: tuple[int, ...] = Field(description="tiles whose first run ends by SIGSEGV")
    pause_seconds: float = Field(description="after each tile of the mosaic")


@dataclass(frozen=True)
class Entry:
    """A line of the diary: `begin` with the attempt, a `step`, a `checkpoint` that counts so many steps, or `crash`."""

    task: str
    kind: str
    number: int


def read_diary(data_dir: Path) -> list[Entry]:
    lines = (data_dir / DIARY).read_text().splitlines() if (data_dir / DIARY).exists() else []
    return [Entry(task, kind, int(number)) for task, kind, number in (line.split() for line in lines)]


class WrittenDown(RunState):
    """Passes everything on, and writes down the tiles of a mosaic and its checkpoints."""

    def __init__(self, inner: RunState, data_dir: Path, task: str, pause_seconds: float) -> None:
        self._inner = inner
        self._data_dir = data_dir
        self._task = task
        self._pause_seconds = pause_seconds

    @property
    @override
    def last_checkpoint(self) -> lockstep.JsonValue:
        return self._inner.last_checkpoint

    @override
    def checkpoint(self, state: lockstep.JsonValue) -> None:
        self._inner.checkpoint(state)
        write_down(self._data_dir, self._task, "checkpoint", state["written"])

    @override
    def progress(self, fraction: float, note: str) -> None:
        if wrote := re.match(r"wrote tile (\d+) of", note):
            write_down(self._data_dir, self._task, "step", int(wrote[1]))
            time.sleep(self._pause_seconds)
        self._inner.progress(fraction, note)


def write_down(data_dir: Path, task: str, kind: str, number: int) -> None:
    descriptor = os.open(data_dir / DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, f"{task} {kind} {number}\n".encode())
    finally:
        os.close(descriptor)


@lockstep.task_type(
    "slow_tiles.cut",
    lane=lockstep.Lane.LONG,
    isolated=True,
    timeout=900,
    max_memory_mib=CUT_MIB,
    backoff=lockstep.Backoff(base_seconds=1),
)
def slow_cut(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    data_dir, task = context.services.data_dir, f"cut-{context.task_index}"
    write_down(data_dir, task, "begin", context.attempt)
    if parameters["crash"] and Entry(task, "crash", 1) not in read_diary(data_dir):
        write_down(data_dir, task, "crash", 1)
        os.kill(os.getpid(), signal.SIGSEGV)
    for step in range((context.last_checkpoint or 0) + 1, parameters["seconds"] + 1):
        time.sleep(1)
        write_down(data_dir, task, "step", step)
        if step % _STEPS == 0:
            context.checkpoint(step)
            write_down(data_dir, task, "checkpoint", step)
    return cut.handler(context, parameters)


@lockstep.task_type("slow_tiles.list", lane=lockstep.Lane.LONG)
def slow_list(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return list_tiles.handler(context, parameters)


@lockstep.task_type("slow_tiles.mosaic", lane=lockstep.Lane.LONG, isolated=True, max_memory_mib=MOSAIC_MIB)
def slow_mosaic(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    data_dir = context.services.data_dir
    write_down(data_dir, "mosaic", "begin", context.attempt)
    state = WrittenDown(context.state, data_dir, "mosaic", parameters["pause_seconds"])
    return mosaic.handler(replace(context, state=state), parameters)


class SlowTiles(TileRaster):
    job_type = "slow_tiles"
    Parameters = SlowTilesParameters
    task_types = (slow_cut, slow_list, slow_mosaic)

    @override
    def create_stage_tasks(
        self, job: lockstep.JobContext[TileRasterParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        given = job.parameters
        assert isinstance(given, SlowTilesParameters)
        for each in super().create_stage_tasks(job, stage):
            index = each.index
            seconds = given.slow_seconds if index in given.slow else 0
            added = {"seconds": seconds, "crash": index in given.crash, "pause_seconds": given.pause_seconds}
            name = each.task_type.replace("tile_raster", "slow_tiles")
            yield replace(each, task_type=name, parameters={**each.parameters, **added})
