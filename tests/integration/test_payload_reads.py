"""A page reads the payload that it shows, and no more: PostgreSQL keeps large values apart from their rows."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import psycopg2
import pytest

from core.models import StageKey
from core.pages import TaskPayload
from repositories.ports import UnitOfWork
from repositories.postgres import PostgresDatabase, PostgresUnitOfWork

_JOB = "ab" * 16
_KEY = StageKey(_JOB, 1)
_ROWS = 200
_BYTES = 50_000
_BLOCKS = _BYTES // 8_192
"""Of PostgreSQL, that one payload fills at least."""

_FILL = f"""
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, started_at)
    VALUES ('{_JOB}', 'pages', '{{}}', 1, 'processing', 1, now());
    INSERT INTO stages (job_id, stage, name, result) VALUES ('{_JOB}', 1, 'one', %(payload)s::jsonb);
    INSERT INTO tasks (
        task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, attempt,
        started_at, finished_at, worker
    )
    SELECT '{_JOB}-s01-t' || lpad(t::text, 7, '0'), '{_JOB}', repeat('t', 80), 1, t, '{_JOB}-s1-b0', 'completed',
        jsonb_build_object('text', %(payload)s::jsonb), %(payload)s::jsonb, 1, now(), now(), repeat('w', 80)
    FROM generate_series(0, {_ROWS - 1}) AS t
"""

_READ = "SELECT sum(pg_stat_get_xact_blocks_fetched(reltoastrelid)) FROM pg_class WHERE reltoastrelid <> 0"
"""By this transaction, whatever a vacuum reads meanwhile."""

BlocksOf = Callable[[Callable[[UnitOfWork], object]], int]


@pytest.fixture
def toast_blocks(database_url: str, postgres_database: PostgresDatabase) -> Iterator[BlocksOf]:
    """Counts the blocks of large values that a transaction reads."""
    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=_BYTES))
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        with conn:
            cursor.execute(_FILL, {"payload": f'"{text}"'})

        def read() -> int:
            cursor.execute(_READ)
            return int((cursor.fetchone() or [0])[0])

        def blocks_of(action: Callable[[UnitOfWork], object]) -> int:
            with conn:
                before = read()
                action(PostgresUnitOfWork(cursor))
                return read() - before

        yield blocks_of


def test_a_page_of_tasks_without_payload_reads_none(toast_blocks: BlocksOf) -> None:
    assert toast_blocks(lambda work: work.tasks.page(_JOB, None, "", 1_000)) == 0


def test_a_page_of_tasks_reads_one_kind_of_payload_if_it_shows_one(toast_blocks: BlocksOf) -> None:
    def of_page(include: Sequence[TaskPayload]) -> int:
        return toast_blocks(lambda work: work.tasks.page(_JOB, None, "", 10, include))

    one, both = of_page([TaskPayload.RESULT]), of_page(list(TaskPayload))
    assert 10 * _BLOCKS <= one < 0.6 * both


def test_a_page_of_tasks_reads_no_payload_beyond_its_end(toast_blocks: BlocksOf) -> None:
    """A page of 1 MiB has 10 tasks with 100 KB each, and one more is read to find its end."""

    def of_page(limit: int) -> int:
        return toast_blocks(lambda work: work.tasks.page(_JOB, None, "", limit, TaskPayload))

    assert 10 * 2 * _BLOCKS <= of_page(1_000) <= of_page(11)


def test_a_page_of_results_reads_no_result_beyond_its_end(toast_blocks: BlocksOf) -> None:
    def of_page(limit: int) -> int:
        return toast_blocks(lambda work: work.tasks.results_page(_KEY, -1, limit))

    assert 20 * _BLOCKS <= of_page(1_000) <= of_page(22)


def test_the_stages_of_a_job_are_read_without_their_results(toast_blocks: BlocksOf) -> None:
    assert toast_blocks(lambda work: work.stages.of_job(_JOB)) == 0
    assert toast_blocks(lambda work: work.stages.results_of_job(_JOB)) >= _BLOCKS
