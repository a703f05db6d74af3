"""Workers that die at random while they run tasks of each kind: by steps, isolated, in lists, in envelopes, readers."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local.jobs_client import ENDS
from tests.faults.audit import audited
from tests.faults.copying_queue import COPIES
from tests.faults.figures import record
from tests.faults.hosting import APP_DIR, MortalHosts
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.kinds import Children, Envelopes, FanIn, Fate, Lists, Steps
from tests.faults.leases import LEASE_SECONDS, end_leases_of_the_dead, kill, rest
from tests.faults.sizes import only_long, size
from tests.faults.stand import Stand, standing
from tests.faults.worker import LONG_LANE, NO_LIMITS
from tests.support.waiting import wait_until

WORKERS = size(3, 4)
LOCK = size("PT2S", "PT5S")
HOSTS = 2
STEP_SECONDS = size(0.05, 0.1)
WAIT_SECONDS = size(600, 1_800)
MOST_SECONDS_LATER = 0.2

pytestmark = pytest.mark.timeout(2 * WAIT_SECONDS)


@contextmanager
def workers(database_url: str, directory: Path, lock: str = LOCK, **settings: str) -> Iterator[Stand]:
    """A stand with an audited database, and workers of both lanes."""
    environment = {"LEASE_SECONDS": str(LEASE_SECONDS), LONG_LANE: "1", **settings}
    properties = {"LockDuration": lock}
    with (
        audited(database_url),
        standing(database_url, directory, WORKERS, queue_properties=properties, **environment) as stand,
    ):
        yield stand


def at_random(stand: Stand, kills: int, done: Callable[[], int], of: int) -> Iterator[random.Random]:
    """Yields each time that a further part of the first three quarters of the work is done, and some time later."""
    chance = random.Random(4)
    for number in range(1, kills + 1):
        stand.wait_for(lambda: done() >= of * 3 // 4 * number // kills, WAIT_SECONDS)  # noqa: B023 - called at once
        time.sleep(chance.uniform(0, MOST_SECONDS_LATER))
        yield chance


def kill_at_random(stand: Stand, kills: int, done: Callable[[], int], of: int) -> None:
    """Kills workers while the first three quarters of the work are done."""
    for chance in at_random(stand, kills, done, of):
        kill(stand, chance.randrange(WORKERS))


def end(stand: Stand, job_id: str, job_status: str = "completed") -> None:
    """Waits for the end of a job whose workers are killed no more, and checks every invariant."""

    def has_ended() -> bool:
        if len(stand.crew):
            end_leases_of_the_dead(stand)  # also those that PostgreSQL gave after the death
        return stand.status(job_id) in ENDS

    stand.wait_for(has_ended, WAIT_SECONDS)
    rest(stand)
    assert_queues_empty(stand.broker)
    assert_invariants(stand.database_url, job_id, job_status=job_status)


def noted(stand: Stand) -> int:
    """How many steps of work were done."""
    [(number,)] = stand.ask("SELECT count(*) FROM audit.steps")
    return int(number)


def test_no_step_of_work_before_the_last_checkpoint_is_done_again(database_url: str, tmp_path: Path) -> None:
    tasks, steps, of_a_run, kills = size((6, 8, 3, 3), (200, 40, 10, 60))
    with workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        parameters = {"n": tasks, "steps": steps, "steps_of_a_run": of_a_run, "seconds": STEP_SECONDS}
        job_id = stand.submit_job(Steps, parameters)
        kill_at_random(stand, kills, lambda: noted(stand), tasks * steps)
        end(stand, job_id)
        seconds = round(time.monotonic() - began)
        did = stand.ask("SELECT count(DISTINCT step), max(step) FROM audit.steps GROUP BY task_id")
        assert did == [(steps, steps - 1)] * tasks
        [(runs, notes)] = stand.ask("SELECT count(DISTINCT run), count(*) FROM audit.steps")
        again = notes - tasks * steps
        assert again <= kills, "a worker has one long task, of which it may lose the last step"
        [(interruptions,)] = stand.ask("SELECT sum(attempt - failures) - count(*) FROM tasks")
    figures = {"runs": runs, "interruptions": interruptions, "steps_done_twice": again, "seconds": seconds}
    record("long tasks with checkpoints, killed", tasks=tasks, steps=tasks * steps, kills=kills, **figures)


def test_locks_that_end_while_the_leases_live_lead_to_no_second_run(database_url: str, tmp_path: Path) -> None:
    """Locks of 2 s that nobody renews, and runs of 4 s: free workers get the messages of tasks that are running."""
    tasks, steps, of_a_run = size((2, 10, 20), (40, 40, 10))
    settings = {"AzureFunctionsJobHost__extensions__serviceBus__maxAutoLockRenewalDuration": "00:00:01"}
    with workers(database_url, tmp_path, "PT2S", **settings) as stand:
        began = time.monotonic()
        parameters = {"n": tasks, "steps": steps, "steps_of_a_run": of_a_run, "seconds": 0.4}
        job_id = stand.submit_job(Steps, parameters)
        end(stand, job_id)
        seconds = round(time.monotonic() - began)
        runs = stand.ask("SELECT count(*), count(DISTINCT step), count(DISTINCT run) FROM audit.steps GROUP BY task_id")
        assert runs == [(steps, steps, -(-steps // of_a_run))] * tasks
        assert stand.ask("SELECT DISTINCT attempt, failures, dead_letters FROM tasks") == [(1, 0, 0)]

        def lost() -> int:
            return len(re.findall(r"Could not settle \d+ of \d+ messages of sb-tasks-long", stand.crew.log()))

        stand.wait_for(lambda: lost() >= tasks, WAIT_SECONDS)
        locks_lost = lost()
    record("long tasks, locks lost", tasks=tasks, steps=tasks * steps, locks_lost=locks_lost, seconds=seconds)


CHILDREN, EVERY = size((200, 40), (10_000, 100))
FATES: dict[int, Fate] = {at: "dies" if at // EVERY % 2 else "dies once" for at in range(7, CHILDREN, EVERY)}
"""What befalls each fortieth or each hundredth of the isolated tasks."""


def check_children(stand: Stand) -> dict[str, int]:
    """Checks which of the isolated tasks failed, and how; returns figures."""
    failed = stand.ask("SELECT task_index, error ->> 'type' FROM tasks WHERE status = 'failed' ORDER BY task_index")
    assert failed == [(index, "TaskCrashedError") for index, fate in FATES.items() if fate == "dies"]
    [(most,)] = stand.ask("SELECT max(failures) FROM tasks WHERE status = 'completed'")
    assert most <= 1
    [(runs, crashes)] = stand.ask("SELECT sum(attempt), sum(failures) FROM tasks")
    return {"runs": runs, "crashes": crashes, "children": len(children_of(stand))}


def children_of(stand: Stand) -> list[int]:
    """The child processes that have completed a task."""
    return [child for (child,) in stand.ask("SELECT DISTINCT result::integer FROM tasks WHERE result IS NOT NULL")]


def test_of_isolated_tasks_exactly_those_fail_whose_children_always_die(database_url: str, tmp_path: Path) -> None:
    kills = size(2, 40)
    with workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        job_id = stand.submit_job(Children, {"n": CHILDREN, "fates": FATES, "seconds": 0.02})
        kill_at_random(stand, kills, lambda: stand.ended_tasks(job_id), CHILDREN)
        end(stand, job_id, "completed_with_errors")
        seconds = round(time.monotonic() - began)
        figures = check_children(stand)
        children = children_of(stand)
    wait_until(lambda: not any(_runs_tasks(child) for child in children), WAIT_SECONDS)
    record("isolated tasks, workers killed", tasks=CHILDREN, kills=kills, seconds=seconds, **figures)


@only_long  # hosts take seconds to start
def test_isolated_tasks_end_with_the_hosts_that_are_killed(database_url: str, tmp_path: Path) -> None:
    kills = 30
    with audited(database_url), standing(database_url, tmp_path, workers=0) as stand:
        hosts = MortalHosts(APP_DIR, HOSTS, stand.environment, tmp_path / "functions.log")
        try:
            began = time.monotonic()
            job_id = stand.submit_job(Children, {"n": CHILDREN, "fates": FATES, "seconds": 0.02})
            for number, chance in enumerate(at_random(stand, kills, lambda: stand.ended_tasks(job_id), CHILDREN)):
                kill = hosts.kill_worker if number % 2 else hosts.kill
                kill(chance.randrange(HOSTS))
            end(stand, job_id, "completed_with_errors")
            seconds = round(time.monotonic() - began)
            figures = check_children(stand)
            children = children_of(stand)
        finally:
            hosts.stop()
    wait_until(lambda: not any(_runs_tasks(child) for child in children), WAIT_SECONDS)
    figures |= {"of_these_hosts": (kills + 1) // 2, "hosts": HOSTS}
    record("isolated tasks, hosts killed", tasks=CHILDREN, kills=kills, seconds=seconds, **figures)


def _runs_tasks(process_id: int) -> bool:
    try:
        return "task_process" in " ".join(psutil.Process(process_id).cmdline())
    except psutil.NoSuchProcess:
        return False


def test_of_tasks_in_lists_exactly_those_fail_that_are_told_to(database_url: str, tmp_path: Path) -> None:
    tasks, kills = size((400, 2), (20_000, 40))
    cycle: tuple[Fate, ...] = ("fails", "is missing", "recovers", "raises")
    fates: dict[int, Fate] = {at: cycle[at // 50 % len(cycle)] for at in range(30, tasks, 50)}
    with workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        job_id = stand.submit_job(Lists, {"n": tasks, "fates": fates, "seconds": 0.005})
        kill_at_random(stand, kills, lambda: stand.ended_tasks(job_id), tasks)
        end(stand, job_id, "completed_with_errors")
        seconds = round(time.monotonic() - began)
        failed = stand.ask("SELECT task_index, error ->> 'type' FROM tasks WHERE status = 'failed' ORDER BY task_index")
        assert failed == [(index, "PermanentTaskError") for index, fate in fates.items() if fate == "fails"]
        wrong = stand.ask("SELECT task_id FROM tasks WHERE status = 'completed' AND result <> to_jsonb(task_index)")
        assert wrong == [], "no task has the outcome of another one"
        kinds = dict(
            stand.ask("SELECT each ->> 'type', count(*) FROM tasks, jsonb_array_elements(errors) AS each GROUP BY 1")
        )
        assert kinds.keys() <= {"PermanentTaskError", "ConnectionError", "RuntimeError", "BatchHandlerError"}
        [(runs, most)] = stand.ask("SELECT sum(attempt), max(attempt) FROM tasks")
    figures = {"runs": runs, "most_runs": most, "seconds": seconds, "fates": Counter(fates.values())}
    record("tasks in lists, killed", tasks=tasks, kills=kills, errors=kinds, **figures)


AHEAD = 300
"""So few that the stages of envelopes wait for room."""


def test_of_tasks_in_envelopes_each_ends_once_although_envelopes_come_again(database_url: str, tmp_path: Path) -> None:
    """Envelopes are delivered up to five times, and their workers are killed while the stages wait for room."""
    tasks, kills = size((500, 3), (10_000, 60))
    fates: dict[int, Fate] = {at: "fails" if at // 50 % 2 else "recovers" for at in range(30, tasks, 50)}
    settings = {COPIES: "1", NO_LIMITS: "1", "DISPATCH_AHEAD": str(AHEAD)}
    with workers(database_url, tmp_path, **settings) as stand:
        began = time.monotonic()
        job_id = stand.submit_job(Envelopes, {"n": tasks, "fates": fates, "seconds": 0.005})
        kill_at_random(stand, kills, lambda: stand.ended_tasks(job_id), 2 * tasks)
        end(stand, job_id, "completed_with_errors")
        assert_invariants(database_url, job_id, job_status="completed_with_errors", dispatch_ahead=AHEAD)
        seconds = round(time.monotonic() - began)
        assert stand.ask("SELECT DISTINCT enveloped FROM batches") == [(True,)]
        failed = stand.ask("SELECT stage, task_index FROM tasks WHERE status = 'failed' ORDER BY task_index")
        assert failed == [(1, index) for index, fate in fates.items() if fate == "fails"]
        copies = sum(map(int, re.findall(r"(\d+) copies of sb-batches", stand.crew.log())))
        assert copies > 0
        [(runs, most, retries)] = stand.ask("SELECT sum(attempt), max(attempt), sum(failures) FROM tasks")
    figures = {"runs": runs, "most_runs": most, "failures": retries, "copies": copies, "seconds": seconds}
    record("tasks in envelopes, killed", tasks=2 * tasks, kills=kills, **figures)


def test_a_fan_in_reads_each_result_once_although_its_reader_is_killed(database_url: str, tmp_path: Path) -> None:
    results, gatherers, kills = size((400, 2, 2), (5_000, 20, 15))
    with workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        job_id = stand.submit_job(FanIn, {"n": results, "gatherers": gatherers, "seconds": 0.2})

        def read() -> int:
            [(number,)] = stand.ask("SELECT sum(coalesce((checkpoint ->> 0)::integer, 0)) FROM tasks WHERE stage = 2")
            [(done,)] = stand.ask("SELECT count(*) FROM tasks WHERE stage = 2 AND status = 'completed'")
            return int(number or 0) + int(done) * results

        kill_at_random(stand, kills, read, gatherers * results)
        end(stand, job_id)
        seconds = round(time.monotonic() - began)
        gathered = stand.ask("SELECT result FROM tasks WHERE stage = 2")
        assert gathered == [([results, sum(range(results))],)] * gatherers
        [(runs, most)] = stand.ask("SELECT sum(attempt), max(attempt) FROM tasks WHERE stage = 2")
    record(
        "fan-in, killed", results=results, readers=gatherers, kills=kills, runs=runs, most_runs=most, seconds=seconds
    )
