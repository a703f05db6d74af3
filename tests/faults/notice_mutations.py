"""The guards of the notices of ends, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SQL = "repositories/sql/end_notices.sql"
_FAKE = "tests/fakes/end_notices.py"
_NOTICES = "engine/jobs/end_notices.py"
_CONTRACT = "tests/contract/repositories/test_end_notices.py"
_ENDS = "tests/unit/engine/jobs/test_end_notices.py"


def _both(test: str) -> list[str]:
    return [f"{_CONTRACT}::{test}[{backend}]" for backend in ("fake", "postgres")]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the end that a notice needs": (
        [
            Edit(_SQL, "j.finished_at\nFROM", "coalesce(j.finished_at, now())\nFROM"),
            Edit(_SQL, "WHERE j.job_id = %(job_id)s AND j.finished_at IS NOT NULL", "WHERE j.job_id = %(job_id)s"),
            Edit(_FAKE, "if job is None or job.finished_at is None or", "if job is None or"),
            Edit(_FAKE, "            job.finished_at,\n", "            job.finished_at or self._now,\n"),
        ],
        _both("test_a_job_that_has_not_ended_is_owed_none"),
    ),
    "the age of a notice that the sweeper sends": (
        [
            Edit(_SQL, "due_at <= now() - make_interval(secs => %(age_seconds)s)", "true"),
            Edit(_FAKE, "lambda row: row.due_at <= latest", "lambda row: True"),
        ],
        _both("test_a_notice_is_overdue_once_an_age"),
    ),
    "the send of a notice": (
        [
            Edit(
                _NOTICES, "        send(self._queue, self._target, [each.outgoing(self._source) for each in notices])\n"
            )
        ],
        [f"{_ENDS}::test_the_end_is_told_as_a_cloud_event", f"{_ENDS}::test_a_cancellation_is_told_once"],
    ),
    "the ends of one cancellation are told together": (
        [Edit(_NOTICES, "_JOBS_PER_SEND = 100", "_JOBS_PER_SEND = 1")],
        [f"{_ENDS}::test_the_ends_of_a_job_and_its_dependants_are_told_in_one_send"],
    ),
    "the sweep of notices": (
        [Edit("engine/repair/sweeper.py", "if (notices := self._end_notices) is not None:", "if notices := None:")],
        [f"{_ENDS}::test_a_notice_that_the_broker_refuses_is_sent_by_the_sweeper"],
    ),
    "the notice of a cancellation": (
        [Edit("engine/jobs/end_hooks.py", "            self._notices.owe(work, job_id)", "            pass")],
        [
            f"{_ENDS}::test_a_cancellation_is_told_once",
            f"{_ENDS}::test_a_notice_that_the_broker_refuses_is_sent_by_the_sweeper",
        ],
    ),
}
