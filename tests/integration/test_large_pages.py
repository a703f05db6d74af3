"""A page of large rows takes memory by its bytes, not by its rows."""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import azure.functions as func
import psycopg2
import pytest

from api import result_formats
from controllers.registry import Registry
from controllers.services import Services
from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from core.task_runs import TaskResult
from engine.jobs.result_reader import ResultReader
from engine.jobs.status_reader import StatusReader
from engine.process.job_secrets import JobSecrets
from engine.stages.contexts import Contexts
from repositories.postgres import PostgresDatabase

_JOB = "ab" * 16
_ROWS = 300
_FILL = f"""
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, started_at)
    VALUES ('{_JOB}', 'pages', '{{}}', 1, 'processing', 1, now());
    INSERT INTO stages (job_id, stage, name) VALUES ('{_JOB}', 1, 'one');
    INSERT INTO tasks (
        task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, attempt,
        started_at, finished_at
    )
    SELECT '{_JOB}-s01-t' || lpad(t::text, 7, '0'), '{_JOB}', 'page', 1, t, 'b', 'completed', '{{}}',
        to_jsonb(repeat('x', 65000)), 1, now(), now()
    FROM generate_series(0, {_ROWS - 1}) AS t;
    INSERT INTO dead_letters (queue, reason, description, body, message_id)
    SELECT 'sb-tasks', 'bad', 'why', convert_to(repeat('x', 65000), 'UTF8'), t::text
    FROM generate_series(0, {_ROWS - 1}) AS t;
"""


@pytest.fixture
def database(database_url: str, postgres_database: PostgresDatabase) -> PostgresDatabase:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(_FILL)
    return postgres_database


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """The peak of the memory since the test began, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def _read_all(page_after: Callable[[Any], Page[Any]]) -> Sequence[int]:
    """Reads a listing to its end; returns the sizes of its pages."""
    sizes: list[int] = []
    last = None
    while True:
        page = page_after(last)
        sizes.append(len(page))
        if not page.has_more:
            return sizes
        last = page[-1]


def test_a_page_of_large_tasks_is_short(database: PostgresDatabase, traced: Callable[[], int]) -> None:
    reader = StatusReader(database, JobSecrets(database, Registry([])))
    sizes = _read_all(lambda last: reader.tasks(_JOB, None, last.task_id if last else "", 1_000, TaskPayload))
    assert (sum(sizes), max(sizes)) == (_ROWS, 16)
    assert traced() < 6 * MAX_PAGE_BYTES


def test_large_results_are_listed_in_short_pages(database: PostgresDatabase, traced: Callable[[], int]) -> None:
    reader = ResultReader(database, JobSecrets(database, Registry([])))

    def page_after(last: TaskResult | None) -> Page[TaskResult]:
        page = reader.page(_JOB, 1, last.task_index if last else -1, 1_000)
        for written in (result_formats.format_for(_request(accept)) for accept in ("*/*", "text/csv")):
            assert written.write(result_formats.rows(_JOB, 1, page.results), last is None)
        return Page(page.results, has_more=page.has_more)

    sizes = _read_all(page_after)
    assert (sum(sizes), max(sizes)) == (_ROWS, 16)
    assert traced() < 8 * MAX_PAGE_BYTES


def _request(accept: str) -> func.HttpRequest:
    return func.HttpRequest("GET", "https://jobs.example/api", headers={"Accept": accept}, body=b"")


def test_a_page_of_large_dead_letters_is_short(database: PostgresDatabase, traced: Callable[[], int]) -> None:
    reader = StatusReader(database, JobSecrets(database, Registry([])))
    sizes = _read_all(lambda last: reader.dead_letters(last.dead_letter_id if last else None, 1_000, with_body=True))
    assert (sum(sizes), max(sizes)) == (_ROWS, 16)
    assert traced() < 6 * MAX_PAGE_BYTES


def test_large_results_are_aggregated_in_short_pages(
    database: PostgresDatabase, traced: Callable[[], int], tmp_path: Path
) -> None:
    contexts = Contexts(database, Services(tmp_path, frozenset(), database))
    indexes = [result.task_index for result in contexts.results(StageKey(_JOB, 1))]
    assert indexes == list(range(_ROWS))
    assert traced() < 6 * MAX_PAGE_BYTES
