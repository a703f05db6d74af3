"""The Celery app of the comparison, as `celery --app` loads it; the servers come from the environment."""

import os

from celery import Celery

RESULTS = "db+postgresql+psycopg2"

app = Celery("noop", broker=os.environ["BENCHMARK_REDIS_URL"], backend=os.environ["BENCHMARK_RESULTS_URL"])
app.conf.update(
    task_serializer="json",
    result_expires=None,
    worker_prefetch_multiplier=64,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


def _noop() -> None:
    pass


noop = app.task(name="noop")(_noop)
