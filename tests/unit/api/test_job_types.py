import json
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest
from pydantic import Field

from api import job_types
from controllers import authoring as lockstep
from controllers.base import JobController
from controllers.hello_world import HelloWorldParameters
from core.lanes import Lane
from core.retry import Backoff, TaskPolicy
from core.task_limits import Rate, TaskLimit
from tests.support.drive import stand
from tests.support.sample_jobs import SampleParameters, counted, echo, sample_job
from tests.unit.api.support import BASE, body

list_job_types: Callable[[func.HttpRequest], func.HttpResponse] = job_types.list_job_types._function.get_user_function()
REQUEST = func.HttpRequest("GET", f"{BASE}/job-types", body=b"")


def listed(monkeypatch: pytest.MonkeyPatch, *controllers: type[JobController[Any]]) -> Any:
    with stand(*controllers) as it:
        monkeypatch.setattr(job_types, "app", lambda: it.app)
        response = list_job_types(REQUEST)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    return body(response)["job_types"]


@pytest.mark.usefixtures("it")
def test_a_job_type_is_listed_with_what_it_takes_to_submit_a_job() -> None:
    (hello,) = body(list_job_types(REQUEST))["job_types"]
    assert (hello["name"], hello["description"]) == ("hello_world", "Greets n times, then replies to every greeting.")
    assert hello["parameters"] == HelloWorldParameters.model_json_schema()
    assert [(each["stage"], each["name"]) for each in hello["stages"]] == [(1, "greetings"), (2, "replies")]


def test_a_stage_is_listed_with_how_it_is_dispatched(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = lockstep.DispatchProtocol
    stages = (
        lockstep.StageSpec("own", 0.25, protocol.TWO_PHASE, lockstep.MessagePer.BATCH),
        lockstep.StageSpec("inherited"),
    )
    (sample,) = listed(monkeypatch, sample_job(counted(1, 1), stages=stages, protocol=protocol.ATOMIC))
    own = {"max_failed_fraction": 0.25, "dispatch_protocol": "two_phase", "message_per": "batch"}
    inherited = {"max_failed_fraction": 0.0, "dispatch_protocol": "atomic", "message_per": "task"}
    assert sample["stages"] == [
        {"stage": 1, "name": "own", **own},
        {"stage": 2, "name": "inherited", **inherited},
    ]


def test_a_task_type_is_listed_with_its_policy_and_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = TaskPolicy(5, Backoff(1, 3, 60), Lane.LONG, 90, limit=TaskLimit(7, Rate(10, 60)))
    (sample,) = listed(monkeypatch, sample_job(counted(1), echo, policy=policy))
    assert sample["task_types"] == [
        {
            "name": "sample.work",
            "lane": "long",
            "max_attempts": 5,
            "backoff": {"base_seconds": 1, "factor": 3, "cap_seconds": 60},
            "timeout_seconds": 90,
            "isolated": False,
            "max_memory_mib": None,
            "max_running": 7,
            "rate": {"starts": 10, "seconds": 60},
            "takes_lists": False,
        }
    ]


def test_a_class_without_a_docstring_has_no_description(monkeypatch: pytest.MonkeyPatch) -> None:
    base = sample_job(counted(1))
    undescribed = type("Undescribed", (base,), {"__doc__": None})
    (sample,) = listed(monkeypatch, undescribed)
    assert sample["description"] is None


def test_a_schema_stays_as_its_author_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redaction would cut a pattern or an example that looks like a URL with a query."""
    pattern, example = r"^https://[^?]+\?sig=.+$", "https://store.example/a.csv?sig=abc"

    class Parameters(SampleParameters):
        source: str = Field("", pattern=pattern, examples=[example])

    sample = type("Sample", (sample_job(counted(1)),), {"Parameters": Parameters})
    (listed_type,) = listed(monkeypatch, sample)
    assert listed_type["parameters"] == json.loads(json.dumps(Parameters.model_json_schema()))
    assert listed_type["parameters"]["properties"]["source"]["pattern"] == pattern
