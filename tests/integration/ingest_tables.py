"""Runs a job of ingest_csv that loads into a table, on PostgreSQL, task by task as the engine does."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import cursor

from controllers.context import JobContext, StageContext, TaskContext
from controllers.ingest_csv import IngestCsv, IngestCsvParameters
from controllers.registry import Registry
from controllers.services import Services
from core.definitions import TaskDefinition
from core.statuses import TaskStatus
from core.task_runs import TaskResult
from repositories.postgres import PostgresDatabase

FIRST_JOB, SECOND_JOB = "1" * 32, "2" * 32
_CONTROLLER = IngestCsv()
_TASK_TYPES = Registry([IngestCsv])


@dataclass
class TableJob:
    """A job and what its stages have returned so far."""

    job: JobContext[IngestCsvParameters]
    results: list[Any]

    def tasks(self) -> list[TaskDefinition]:
        """The tasks of the next stage."""
        return list(_CONTROLLER.create_stage_tasks(self.job, self._stage))

    def run_task(self, task: TaskDefinition) -> Any:
        """Runs one task; its result, as PostgreSQL would store it."""
        declared = _TASK_TYPES.task_type(task.task_type)
        assert declared is not None
        number = len(self.results) + 1
        task_id = task.to_task_record(self.job.job_id, number).task_id
        context = TaskContext(self.job.job_id, task_id, "", number, task.index, 1, self.job.services)
        return json.loads(json.dumps(declared.handler(context, json.loads(task.encoded_parameters))))

    def run_stage(self, runs: int = 1) -> Any:
        """Runs the tasks of the next stage, each so often."""
        results = []
        for task in self.tasks():
            results += [
                TaskResult(task.index, task.task_type, TaskStatus.COMPLETED, self.run_task(task), None)
                for _ in range(runs)
            ][-1:]
        self.results.append(_CONTROLLER.aggregate_stage_results(self.job, self._stage, iter(results)))
        return self.results[-1]

    def run(self, runs: int = 1) -> Any:
        """Runs the stages that are left; returns the job's result."""
        while len(self.results) < len(_CONTROLLER.stages):
            self.run_stage(runs)
        return _CONTROLLER.aggregate_job_results(self.job, self.results)

    @property
    def _stage(self) -> StageContext:
        spec = _CONTROLLER.stages[len(self.results)]
        return StageContext(len(self.results) + 1, spec.name, self.results[-1] if self.results else None)


@dataclass
class Ingestion:
    """Files, a database of which the schema `mine` is the user's, and jobs over them."""

    data_dir: Path
    database: PostgresDatabase
    url: str

    def job(self, content: str, table: str = "mine.t", job_id: str = FIRST_JOB, **parameters: Any) -> TableJob:
        self.data_dir.joinpath(f"{job_id}.csv").write_text(content, newline="")
        given = IngestCsvParameters(source=f"{job_id}.csv", table=table, **parameters)
        with self.database.transaction() as work:
            work.jobs.create(job_id, "ingest_csv", "{}", 3)
        return TableJob(JobContext(job_id, given, Services(self.data_dir, frozenset(), self.database)), [])

    def end(self, job_id: str, days_ago: int) -> None:
        self.execute(
            "UPDATE jobs SET status = 'failed', error = '{}', "
            f"created_at = now() - interval '10 days', finished_at = now() - interval '{days_ago} days' "
            f"WHERE job_id = '{job_id}'; UPDATE ingest_csv_tables SET submitted_at = (SELECT created_at FROM jobs AS j "
            f"WHERE j.job_id = '{job_id}') WHERE job_id = '{job_id}'"
        )

    def execute(self, statement: str) -> None:
        with self._cursor() as cur:
            cur.execute(statement)

    def rows(self, query: str = "SELECT * FROM mine.t") -> list[tuple[Any, ...]]:
        """What a query finds, sorted."""
        with self._cursor() as cur:
            cur.execute(query)
            return sorted(cur.fetchall(), key=repr)

    def types(self, table: str = "mine.t") -> list[tuple[str, str]]:
        """The columns of a table and their types, in order."""
        with self._cursor() as cur:
            cur.execute(
                "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                (table,),
            )
            return cur.fetchall()

    def tables(self) -> Sequence[str]:
        """The user's tables, and any staging tables."""
        return [row[0] for row in self.rows("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND "
                                            "relnamespace = 'mine'::regnamespace")]  # fmt: skip

    @contextmanager
    def _cursor(self) -> Iterator[cursor]:
        with closing(psycopg2.connect(self.url)) as conn, conn, conn.cursor() as cur:
            yield cur
