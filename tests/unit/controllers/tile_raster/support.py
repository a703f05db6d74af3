"""Runs a tile_raster job the way the engine does, without rows, messages and child processes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controllers.context import JobContext, StageContext, TaskContext
from controllers.outcome import JobOutcome
from controllers.registry import Registry
from controllers.run_state import RunState, UnsavedRunState
from controllers.services import Services
from controllers.tile_raster import TileRaster, TileRasterParameters
from core.definitions import TaskDefinition
from core.statuses import JobStatus, TaskStatus
from core.task_runs import TaskResult
from tests.fakes.database import FakeDatabase

JOB_ID = "0123456789abcdef" * 2


@dataclass
class Tiling:
    """One job over the files of a directory."""

    data_dir: Path
    job_id: str = JOB_ID
    registry: Registry = field(default_factory=lambda: Registry([TileRaster]))
    cut_results: list[TaskResult] = field(default_factory=list)

    @property
    def services(self) -> Services:
        return Services(self.data_dir, frozenset(), FakeDatabase())

    @property
    def target(self) -> Path:
        return self.data_dir / "tiled"

    def parameters(self, **changes: Any) -> TileRasterParameters:
        given = {"source": "source.tif", "target": "tiled", "tile_size": 32} | changes
        return TileRasterParameters.model_validate(given)

    def job(self, **changes: Any) -> JobContext[TileRasterParameters]:
        return JobContext(self.job_id, self.parameters(**changes), self.services)

    def submit(self, **changes: Any) -> None:
        TileRaster().check_submission(self.parameters(**changes), self.services)

    def tasks(self, stage: int, previous: Any = None, **changes: Any) -> list[TaskDefinition]:
        name = TileRaster.stages[stage - 1].name
        return list(TileRaster().create_stage_tasks(self.job(**changes), StageContext(stage, name, previous)))

    def run_task(self, definition: TaskDefinition, stage: int, state: RunState | None = None) -> Any:
        """Runs a task with the parameters that PostgreSQL would store; returns the result that it would store."""
        declared = self.registry.task_type(definition.task_type)
        assert declared is not None
        context = TaskContext(
            self.job_id,
            definition.to_task_record(self.job_id, stage).task_id,
            f"{self.job_id}-s{stage}-b0",
            stage,
            definition.index,
            1,
            self.services,
            previous_results=self._previous_results,
            state=state or UnsavedRunState(),
        )
        return json.loads(json.dumps(declared.handler(context, json.loads(definition.encoded_parameters))))

    def cut(self, **changes: Any) -> list[Any]:
        """Runs the stage that cuts; returns the results of its tasks."""
        results = [self.run_task(each, 1) for each in self.tasks(1, **changes)]
        self.cut_results = [
            TaskResult(index, "tile_raster.cut", TaskStatus.COMPLETED, result, None)
            for index, result in enumerate(results)
        ]
        return results

    def mosaic_task(self, **changes: Any) -> TaskDefinition:
        """Cuts and lists; returns the task that makes the mosaic."""
        self.cut(**changes)
        (listing,) = self.tasks(2, **changes)
        (making,) = self.tasks(3, self.run_task(listing, 2), **changes)
        return making

    def run(self, **changes: Any) -> Any:
        """Runs a whole job; returns its result."""
        self.submit(**changes)
        self.cut(**changes)
        (listing,) = self.tasks(2, **changes)
        listed = self.run_task(listing, 2)
        (making,) = self.tasks(3, listed, **changes)
        made = self.run_task(making, 3)
        self.end(JobStatus.COMPLETED, **changes)
        return TileRaster().aggregate_job_results(self.job(**changes), [None, listed, made])

    def end(self, status: JobStatus, **changes: Any) -> None:
        TileRaster().job_ended(self.job(**changes), JobOutcome(status, None, None))

    def left_behind(self) -> list[str]:
        """The names of the hidden files in DATA_DIR and in the target."""
        return sorted(path.name for path in [*self.data_dir.glob(".*"), *self.target.glob(".*")])

    def _previous_results(self, first_index: int = 0) -> Iterator[TaskResult]:
        return iter(self.cut_results[first_index:])
