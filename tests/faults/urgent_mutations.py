"""The choices of a queue for the tasks of urgent jobs, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SWEEPS = "repositories/sql/sweeps.sql"
_FAKE_SWEEPS = "tests/fakes/sweeps.py"
_SWEEPER = "engine/repair/sweeper.py"
_TESTS = "tests/unit/engine/stages/test_urgent_jobs.py"
_QUEUES = "tests/contract/repositories/test_queue.py"
_CONTRACT = "tests/contract/repositories/test_sweeps.py"


def _lost(*ways: str) -> list[str]:
    return [f"{_TESTS}::test_a_lost_message_of_an_urgent_task_is_sent_again_to_its_queue[{way}]" for way in ways]


_OVERTAKES = [
    f"{_TESTS}::test_an_urgent_job_of_ten_tasks_ends_while_the_backlog_of_another_job_waits[{protocol}]"
    for protocol in ("two_phase", "atomic")
]
_FAKE = Edit(_FAKE_SWEEPS, "        return job.urgent\n", "        return False\n")

MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the queue of urgent tasks": (
        [Edit("core/lanes.py", "URGENT_TASKS_QUEUE if urgent else TASKS_QUEUE", "TASKS_QUEUE")],
        _OVERTAKES,
    ),
    "the lane of urgent long tasks": (
        [Edit("core/lanes.py", "        if self is Lane.LONG:\n", "        if self is Lane.LONG and not urgent:\n")],
        [f"{_TESTS}::test_long_tasks_of_an_urgent_job_stay_in_their_lane"],
    ),
    "the urgency of a dispatch": (
        [Edit("engine/stages/stage_dispatcher.py", ", urgent=job.urgent)", ")")],
        _OVERTAKES,
    ),
    "the urgency in the row of a job": (
        [
            Edit("repositories/jobs.py", '"urgent": urgent}', '"urgent": False}'),
            Edit("tests/fakes/jobs.py", "self._now, status, urgent=urgent)", "self._now, status)"),
        ],
        [
            f"{_CONTRACT}::test_what_is_found_says_whether_its_job_is_urgent[{each}]"
            for each in ("fake-True", "postgres-True")
        ],
    ),
    "the urgency of a pending batch": (
        [Edit(_SWEEPER, "self._senders[batch.urgent]", "self._senders[False]")],
        _lost("pending_batches"),
    ),
    "the urgency of a lost task": (
        [Edit("core/models/batches.py", "self.lane.queue(urgent=self.urgent)", "self.lane.queue(urgent=False)")],
        _lost("expired_leases", "overdue_retries", "silent_tasks"),
    ),
    "the queue that refuses batches": (
        [Edit(_SWEEPER, "refused.add(queue_name)", 'refused.update({"sb-tasks", "sb-tasks-urgent"})')],
        [f"{_TESTS}::test_a_queue_that_refuses_urgent_batches_does_not_keep_the_sweeper_from_the_other_batches"],
    ),
    "the queue that may be missing": (
        [Edit("repositories/service_bus.py", "if queue not in self._optional_queues:", "if True:")],
        [f"{_QUEUES}::test_a_ping_tells_a_queue_that_may_be_missing_from_one_that_may_not"],
    ),
    "the queue of others that may be missing": (
        [
            Edit(
                "repositories/service_bus.py",
                "    except QueueError:\n        missing",
                "    except ValueError:\n        missing",
            )
        ],
        [f"{_QUEUES}::test_a_ping_names_the_queues_of_others_that_take_nothing"],
    ),
    "the urgency of what the sweeper finds": (
        [Edit(_SWEEPS, "SELECT b.batch_id, b.lane, j.urgent", "SELECT b.batch_id, b.lane, false AS urgent"), _FAKE],
        [
            f"{_CONTRACT}::test_what_is_found_says_whether_its_job_is_urgent[{each}]"
            for each in ("fake-True", "postgres-True")
        ],
    ),
}
