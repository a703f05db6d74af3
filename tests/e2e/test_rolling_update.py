"""A rolling update under load: hosts of the previous release and of this version, on the old schema and on the new."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from controllers.registry import Registry
from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from repositories import migrations
from tests.faults.audit import audited
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.stand import TIMES, broker_config
from tests.support.long_deadlines import LONG_DATABASE_DEADLINES
from tests.support.previous_release import unpack_previous_release

_WAIT_SECONDS = 500
_TASKS = 120
"""Of each stage, in two batches."""
_MOST_UNFINISHED = 3
_POLL_SECONDS = 0.05
ALL = migrations.expected(Registry().migrations)


@dataclass
class Load:
    """Submits jobs through one host after another, a few at a time, until it is stopped.

    Attributes:
        clients: of the hosts; a host that is to stop is taken out with `leave`.
        jobs: the ids of the jobs, by the host that took them.
    """

    database_url: str
    clients: dict[str, JobsClient]
    jobs: dict[str, list[str]] = field(default_factory=lambda: {"old": [], "new": []})
    failure: BaseException | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        stopped = threading.Event()
        thread = threading.Thread(target=self._submit, args=(stopped,))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join(_WAIT_SECONDS)
        assert self.failure is None, self.failure

    def completed(self, host: str) -> int:
        """How many of the jobs that a host took have completed."""
        query = "SELECT count(*) FROM jobs WHERE status = 'completed' AND job_id = ANY(%s)"
        return int(ask(self.database_url, query, list(self.jobs[host]))[0][0])

    def unfinished(self) -> int:
        [(count,)] = ask(self.database_url, "SELECT count(*) FROM jobs WHERE finished_at IS NULL")
        return int(count)

    def wait_for_more(self, host: str, more: int = 2) -> None:
        """Waits until so many more jobs of a host have completed."""
        goal = self.completed(host) + more
        until(lambda: self.completed(host) >= goal, f"{more} more jobs of the {host} host have completed")

    def leave(self, host: str) -> None:
        """Submits no more to a host; a submission that has begun is answered first."""
        with self._turn:
            del self.clients[host]

    def _submit(self, stopped: threading.Event) -> None:
        try:
            while not stopped.wait(_POLL_SECONDS):
                with self._turn:
                    self._submit_once()
        except BaseException as exc:  # noqa: BLE001 - the test raises it
            self.failure = exc

    def _submit_once(self) -> None:
        for host, client in list(self.clients.items()):
            if self.unfinished() < _MOST_UNFINISHED:
                self.jobs[host].append(client.submit("hello_world", {"n": _TASKS}))


def ask(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(_POLL_SECONDS)


def health(host: HostProcess) -> tuple[int, str]:
    """The status of a host, and what it says of migrations."""
    answer = httpx.get(f"{host.base_url}/api/health", timeout=60, trust_env=False)
    return answer.status_code, answer.json()["checks"]["migrations"]


def lists_jobs(host: HostProcess) -> bool:
    """Whether a host has a route that the previous release has not."""
    answer = httpx.get(f"{host.base_url}/api/jobs", timeout=60, trust_env=False)
    return answer.status_code == httpx.codes.OK


def migrate(url: str) -> list[str]:
    """Runs the step of the deployment; returns what it says."""
    command = [sys.executable, "-m", "migrate"]
    environment = {**os.environ, "DATABASE_URL": url}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.timeout(1_800)
def test_hosts_of_two_versions_run_side_by_side_and_lose_nothing(unmigrated_database_url: str, tmp_path: Path) -> None:
    url, log = unmigrated_database_url, tmp_path / "functions.log"
    previous = unpack_previous_release(tmp_path / "previous")
    with ExitStack() as parts:
        broker = parts.enter_context(EmulatorProcess.start(broker_config(tmp_path, {})))
        given = {
            "DATABASE_URL": url,
            "ServiceBusConnection": broker.connection_string,
            **TIMES,
            **LONG_DATABASE_DEADLINES,
        }

        old = parts.enter_context(HostProcess.start(previous, env=given, log_file=log))
        until(lambda: health(old) == (200, "ok"), "the old host is healthy")
        assert not lists_jobs(old)  # it is the code of the previous release
        before = {row[0] for row in ask(url, "SELECT migration_id FROM _yoyo_migration")}
        pending = [name for name in ALL if name not in before]
        assert pending, "the previous release has this schema: name a commit of an older one"
        parts.enter_context(audited(url))
        load = Load(url, {"old": parts.enter_context(closing(JobsClient(old.base_url)))})
        with load.running():
            load.wait_for_more("old")

            # The new code on the old schema: it refuses, and takes nothing from the old host for good.
            given["MIGRATE_ON_START"] = "false"
            new = parts.enter_context(HostProcess.start(ROOT, env=given, log_file=log))
            until(lambda: health(new) == (503, f"pending: {', '.join(pending)}"), "the new host says what it waits for")
            load.wait_for_more("old", 1)

            # The old code on the new schema.
            assert migrate(url) == [f"applied {name}" for name in pending]
            until(lambda: health(new) == (200, "ok"), "the new host is healthy")
            assert lists_jobs(new)
            load.wait_for_more("old")

            # Both, each with messages of the other.
            load.clients["new"] = parts.enter_context(closing(JobsClient(new.base_url)))
            load.wait_for_more("old")
            load.wait_for_more("new")

            # The old host drains while the load goes on.
            load.leave("old")
            old.stop()
            load.wait_for_more("new")
        until(lambda: load.unfinished() == 0, "all jobs have ended")
        assert_queues_empty(broker)
        assert_invariants(url)
        assert ask(url, "SELECT DISTINCT status, (result ->> 'replies')::integer FROM jobs") == [("completed", _TASKS)]
        assert ask(url, "SELECT count(*) FROM jobs") == [(sum(map(len, load.jobs.values())),)]
