"""A schedule is checked when the app starts, so that a wrong one is not found at night."""

import traceback
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from controllers.registry import SCHEDULES, Registry
from controllers.schedule import Schedule
from core.errors import ConfigurationError
from tests.support.sample_jobs import counted, sample_job


def register(*schedules: Schedule) -> Registry:
    return Registry([HelloWorld, sample_job(counted(1))], schedules)


def test_the_app_of_this_repository_has_no_schedules() -> None:
    assert Registry(schedules=SCHEDULES).schedules == []


def test_a_schedule_is_named_after_its_job_type_unless_it_has_a_name() -> None:
    nightly = lockstep.Schedule("0 3 * * *", "hello_world", {"n": 1})
    named = Schedule("0 4 * * *", "hello_world", {"n": 2}, name="greetings")
    assert [each.name for each in register(nightly, named).schedules] == ["hello_world", "greetings"]


def test_two_schedules_of_one_job_type_need_names() -> None:
    nightly = Schedule("0 3 * * *", "hello_world", {"n": 1})
    with pytest.raises(ConfigurationError, match="schedule 'hello_world' is registered twice"):
        register(nightly, Schedule("0 4 * * *", "hello_world", {"n": 2}))


def test_an_unknown_job_type_is_named_with_those_that_are_known() -> None:
    with pytest.raises(
        ConfigurationError, match="schedule 'helo': unknown job type 'helo'; known are hello_world, sample"
    ):
        register(Schedule("0 3 * * *", "helo"))


def test_parameters_that_do_not_fit_are_named_field_by_field() -> None:
    with pytest.raises(
        ConfigurationError,
        match="the parameters of schedule 'hello_world' do not fit hello_world: n: Input should be a valid integer; "
        "extra: Extra inputs are not permitted",
    ):
        register(Schedule("0 3 * * *", "hello_world", {"n": "3", "extra": 1}))


def test_a_value_that_does_not_fit_is_kept_out_of_the_log() -> None:
    secret = f"hunter{1 + 1}"  # a traceback shows the lines of the source, too
    with pytest.raises(ConfigurationError) as caught:
        register(Schedule("0 3 * * *", "hello_world", {"n": secret}))
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_parameters_that_are_no_json_are_named() -> None:
    with pytest.raises(ConfigurationError, match="schedule 'sample': the parameters"):
        register(Schedule("0 3 * * *", "sample", {"label": object()}))


def wrong_type(tick: datetime) -> Mapping[str, Any]:
    return {"label": tick.year}


def raises(tick: datetime) -> Mapping[str, Any]:
    raise LookupError("a secret")


@pytest.mark.parametrize(
    ("function", "complaint"), [(wrong_type, "label: Input should be a valid string"), (raises, "raises LookupError$")]
)
def test_a_function_is_asked_for_the_parameters_of_a_tick(function: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        register(Schedule("0 3 * * *", "sample", function))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"cron": "3 o'clock"}, "the cron expression of schedule 'sample' is \"3 o'clock\"; it must have 5 fields"),
        ({"timezone": "Berlin"}, "the time zone of schedule 'sample' is 'Berlin'"),
        ({"job_type": ""}, "the job type of a schedule is ''"),
        ({"urgent": 1}, "urgent of schedule 'sample' is 1; it must be True or False"),
        ({"name": "\n"}, "the name of a schedule of sample is '\\\\n'"),
    ],
)
def test_a_wrong_value_is_named_where_the_schedule_is_declared(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Schedule(**{"cron": "0 3 * * *", "job_type": "sample", **values})


def test_something_that_is_no_schedule_is_named() -> None:
    wrong: Any = ("0 3 * * *", "sample")
    with pytest.raises(ConfigurationError, match=r"one of the SCHEDULES is .*; it must be a Schedule"):
        register(wrong)


def test_a_schedule_does_not_show_its_parameters() -> None:
    assert "hunter2" not in repr(Schedule("0 3 * * *", "sample", {"password": "hunter2"}))
