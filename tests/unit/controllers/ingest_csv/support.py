"""Runs an ingest_csv job the way the engine does, without rows and messages."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controllers.context import JobContext, StageContext, TaskContext
from controllers.ingest_csv import IngestCsv, IngestCsvParameters
from controllers.ingest_csv.ingested_rows import IngestedRows
from controllers.registry import Registry
from controllers.services import Services
from core.definitions import TaskDefinition
from core.statuses import TaskStatus
from core.task_runs import TaskResult
from tests.fakes.database import FakeDatabase
from tests.fakes.ingested_rows import FakeIngestedRows

JOB_ID = "0123456789abcdef" * 2


@dataclass
class Ingestion:
    """One job over the files of a directory."""

    data_dir: Path
    allowed_source_hosts: frozenset[str] = frozenset()
    database: FakeDatabase = field(default_factory=lambda: FakeDatabase(fakes={IngestedRows: FakeIngestedRows}))
    registry: Registry = field(default_factory=lambda: Registry([IngestCsv]))

    @property
    def services(self) -> Services:
        return Services(self.data_dir, self.allowed_source_hosts, self.database)

    def write(self, content: bytes, name: str = "file.csv") -> str:
        self.data_dir.joinpath(name).write_bytes(content)
        return name

    def job(self, source: str, **parameters: Any) -> JobContext[IngestCsvParameters]:
        return JobContext(JOB_ID, IngestCsvParameters(source=source, **parameters), self.services)

    def layout(self, job: JobContext[IngestCsvParameters]) -> Any:
        """Runs the stage before the load; returns its result."""
        (task,) = IngestCsv().create_stage_tasks(job, StageContext(1, "layout"))
        return self.run_task(task, 1)

    def load_tasks(self, job: JobContext[IngestCsvParameters]) -> Iterator[TaskDefinition]:
        return iter(IngestCsv().create_stage_tasks(job, StageContext(2, "load", self.layout(job))))

    def run_task(self, definition: TaskDefinition, stage: int = 2) -> Any:
        """Runs a task with the parameters that PostgreSQL would store; returns the result that it would store."""
        declared = self.registry.task_type(definition.task_type)
        assert declared is not None
        task_id = definition.to_task_record(JOB_ID, stage).task_id
        context = TaskContext(JOB_ID, task_id, f"{JOB_ID}-s{stage}-b0", stage, definition.index, 1, self.services)
        return json.loads(json.dumps(declared.handler(context, json.loads(definition.encoded_parameters))))

    def run(self, source: str, **parameters: Any) -> Any:
        """Runs a whole job; returns its result."""
        job = self.job(source, **parameters)
        controller = IngestCsv()
        stage_results: list[Any] = []
        for number, spec in enumerate(controller.stages, start=1):
            stage = StageContext(number, spec.name, stage_results[-1] if stage_results else None)
            results = [self._result(each, number) for each in controller.create_stage_tasks(job, stage)]
            stage_results.append(controller.aggregate_stage_results(job, stage, iter(results)))
        return controller.aggregate_job_results(job, stage_results)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of the table, in the order of the file."""
        with self.database.transaction() as work:
            rows = work.repository(IngestedRows)
            assert isinstance(rows, FakeIngestedRows)
            return [json.loads(text) for text in rows.texts_of(JOB_ID)]

    def _result(self, definition: TaskDefinition, stage: int) -> TaskResult:
        result = self.run_task(definition, stage)
        return TaskResult(definition.index, definition.task_type, TaskStatus.COMPLETED, result, None)
