"""The guards of schedules, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_SQL = "repositories/sql/schedules.sql"
_FAKE = "tests/fakes/schedules.py"
_SCHEDULER = "engine/jobs/scheduler.py"
_CRON = "core/cron.py"
_CONTRACT = "tests/contract/repositories/test_schedules.py"
_RUNS = "tests/unit/engine/jobs/test_scheduler.py"
_TIMES = "tests/unit/core/test_cron.py"
_LATER = "AND (last_tick IS NULL OR last_tick < %(tick)s)"


def _both(test: str) -> list[str]:
    return [f"{_CONTRACT}::{test}[{backend}]" for backend in ("fake", "postgres")]


_FAKE_GUARD = Edit(_FAKE, " or (row.last_tick is not None and row.last_tick >= tick)")

MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the later tick of a schedule": (
        [
            Edit(
                _SQL, f"last_error = NULL\nWHERE name = %(name)s {_LATER}", "last_error = NULL\nWHERE name = %(name)s"
            ),
            _FAKE_GUARD,
        ],
        _both("test_a_tick_that_is_noted_is_not_noted_again_and_not_replaced_by_an_earlier_one"),
    ),
    "the refusal of a tick that was submitted": (
        [Edit(_SQL, f"%(error)s\nWHERE name = %(name)s {_LATER}", "%(error)s\nWHERE name = %(name)s"), _FAKE_GUARD],
        _both("test_a_refusal_of_a_tick_that_was_submitted_meanwhile_is_not_noted"),
    ),
    "the id of a tick's job": (
        [Edit(_SCHEDULER, "job_id=job_id, urgent", "urgent")],
        [f"{_RUNS}::test_ticks_that_were_missed_have_one_job_that_of_the_newest"],
    ),
    "the name in the id of a tick's job": (
        [Edit("core/ids.py", '_digest_32("schedule", schedule, ', '_digest_32("key", "hello_world", schedule, ')],
        [f"{_RUNS}::test_a_client_cannot_take_the_id_of_a_tick"],
    ),
    "the job of a tick that another version has submitted": (
        [Edit(_SCHEDULER, "(IdempotencyConflictError, JobBeingPrunedError)", "JobBeingPrunedError")],
        [
            f"{_RUNS}::test_the_job_of_a_tick_stays_as_it_is_when_a_deployment_changes_the_schedule[{change}]"
            for change in ("other_parameters", "another_job_type")
        ],
    ),
    "the start of a schedule": (
        [
            Edit(_SQL, "SELECT name, seen_at,", "SELECT name, '2000-01-01'::timestamptz AS seen_at,"),
            Edit(_FAKE, "ScheduleState(name, self._now,", "ScheduleState(name, self._now - timedelta(days=9),"),
            Edit(_FAKE, "from datetime import datetime", "from datetime import datetime, timedelta"),
        ],
        [f"{_RUNS}::test_a_schedule_that_is_new_starts_now"],
    ),
    "the newest of the ticks that were missed": (
        [
            Edit(_CRON, "                newest = tick\n", "                newest = newest or tick\n"),
            Edit(_CRON, "max(after, until - window)", "after"),
        ],
        [f"{_RUNS}::test_ticks_that_were_missed_have_one_job_that_of_the_newest"],
    ),
    "the cost of the ticks that were missed": (
        [Edit(_CRON, "max(after, until - window)", "after")],
        [f"{_TIMES}::test_a_schedule_of_every_minute_that_was_missed_for_ten_years_costs_little"],
    ),
    "the first of two equal times": (
        [Edit(_CRON, "if moment > last:", "if True:")],
        [f"{_TIMES}::test_a_time_that_exists_twice_is_one_tick"],
    ),
    "the other schedules of a run": (
        [Edit(_SCHEDULER, "                failures.append(exc)\n", "                raise\n")],
        [f"{_RUNS}::test_a_schedule_that_fails_does_not_stop_the_others"],
    ),
    "the turn of a schedule that was refused": (
        [Edit(_SCHEDULER, "key=lambda each: states[each.name].last_error is not None", "key=lambda _: 0")],
        [f"{_RUNS}::test_a_schedule_that_is_refused_does_not_use_up_the_time_of_the_others"],
    ),
    "the time of a run of schedules": (
        [Edit(_SCHEDULER, "            if self._clock() >= ends_at:\n                break\n")],
        [f"{_RUNS}::test_a_schedule_that_is_refused_does_not_use_up_the_time_of_the_others"],
    ),
    "the run without schedules": (
        [Edit(_SCHEDULER, "        if not self._schedules:\n            return 0\n")],
        [f"{_RUNS}::test_without_schedules_no_query_is_made"],
    ),
    "the secrets of a refusal": (
        [Edit(_SCHEDULER, "redacted(", "str(")],
        [f"{_RUNS}::test_parameters_that_do_not_fit_are_shown_field_by_field_without_the_secrets_of_urls"],
    ),
}
