import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.functions_host.errors import AppLoadError
from local.functions_host.host_config import HostConfig, load_host_config
from local.functions_host.timespan import format_timespan, parse_timespan


def load(directory: Path, config: Any, **settings: str) -> HostConfig:
    (directory / "host.json").write_text(json.dumps(config))
    return load_host_config(directory, settings)


def test_an_empty_host_json_means_the_defaults_of_azure(tmp_path: Path) -> None:
    config = load(tmp_path, {"version": "2.0"})
    assert config.function_timeout_seconds == 1800.0
    assert config.extensions.http.route_prefix == "api"
    assert config.extensions.service_bus.model_dump() == {
        "prefetch_count": 0,
        "auto_complete_messages": True,
        "max_concurrent_calls": 16,
        "max_auto_lock_renewal_seconds": 300.0,
        "max_message_batch_size": 1000,
        "min_message_batch_size": 1,
        "max_batch_wait_seconds": 30.0,
    }


def test_every_service_bus_option_is_read(tmp_path: Path) -> None:
    options = {
        "prefetchCount": 1,
        "autoCompleteMessages": False,
        "maxConcurrentCalls": 2,
        "maxAutoLockRenewalDuration": "00:10:00",
        "maxMessageBatchSize": 100,
        "minMessageBatchSize": 4,
        "maxBatchWaitTime": "00:00:01",
    }
    config = load(tmp_path, {"extensions": {"serviceBus": options}})
    assert config.extensions.service_bus.model_dump() == {
        "prefetch_count": 1,
        "auto_complete_messages": False,
        "max_concurrent_calls": 2,
        "max_auto_lock_renewal_seconds": 600.0,
        "max_message_batch_size": 100,
        "min_message_batch_size": 4,
        "max_batch_wait_seconds": 1.0,
    }


@pytest.mark.parametrize(("text", "seconds"), [("00:00:02", 2.0), ("1.00:00:00", 86400.0), ("-1", None)])
def test_a_function_timeout_is_a_time_span_or_minus_one_for_none(
    tmp_path: Path, text: str, seconds: float | None
) -> None:
    assert load(tmp_path, {"functionTimeout": text}).function_timeout_seconds == seconds


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"maxConcurrentCalls": 0}, "maxConcurrentCalls: Input should be greater than or equal to 1"),
        ({"maxConcurrentCalls": True}, "maxConcurrentCalls: Input should be a valid integer"),
        ({"prefetchCount": -1}, "prefetchCount: Input should be greater than or equal to 0"),
        ({"maxMessageBatchSize": "many"}, "maxMessageBatchSize: Input should be a valid integer"),
        ({"minMessageBatchSize": 0}, "minMessageBatchSize: Input should be greater than or equal to 1"),
        ({"autoCompleteMessages": "false"}, "autoCompleteMessages: Input should be a valid boolean"),
        ({"maxBatchWaitTime": 5}, "maxBatchWaitTime: 5 is not a time span such as '00:05:00'"),
        ({"maxAutoLockRenewalDuration": "-00:01:00"}, "maxAutoLockRenewalDuration: '-00:01:00' is not a time span"),
    ],
)
def test_a_wrong_service_bus_option_is_refused_with_its_key(
    tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AppLoadError, match=re.escape(f"host.json is wrong: extensions.serviceBus.{problem}")):
        load(tmp_path, {"extensions": {"serviceBus": options}})


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ([], "Input should be an object"),
        ({"extensions": []}, "extensions: Input should be an object"),
        ({"extensions": {"http": {"routePrefix": 1}}}, "extensions.http.routePrefix: Input should be a valid string"),
        (
            {"extensions": {"serviceBus": {"minMessageBatchSize": 5, "maxMessageBatchSize": 4}}},
            "extensions.serviceBus: minMessageBatchSize must not be larger than maxMessageBatchSize",
        ),
        ({"functionTimeout": 5}, "functionTimeout: 5 is not a time span"),
        ({"functionTimeout": "00:00:00"}, "functionTimeout: it must be at least '00:00:01', or '-1' for no limit"),
    ],
)
def test_a_wrong_host_json_is_refused_with_the_place(tmp_path: Path, config: Any, problem: str) -> None:
    with pytest.raises(AppLoadError, match=re.escape(f"host.json is wrong: {problem}")):
        load(tmp_path, config)


def test_every_wrong_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppLoadError, match=r"functionTimeout: .*; extensions\.serviceBus\.prefetchCount: "):
        load(tmp_path, {"functionTimeout": "soon", "extensions": {"serviceBus": {"prefetchCount": "all"}}})


def test_app_settings_override_values_of_host_json(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        {"functionTimeout": "00:10:00", "extensions": {"serviceBus": {"maxConcurrentCalls": 2, "prefetchCount": 7}}},
        AzureFunctionsJobHost__functionTimeout="02:00:00",
        AzureFunctionsJobHost__extensions__serviceBus__maxAutoLockRenewalDuration="02:00:00",
        AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentCalls="4",
        AzureFunctionsJobHost__extensions__serviceBus__autoCompleteMessages="False",
        AzureFunctionsJobHost__extensions__http__routePrefix="v1",
    )
    assert config.function_timeout_seconds == 7200.0
    assert config.extensions.http.route_prefix == "v1"
    options = config.extensions.service_bus
    assert options.max_auto_lock_renewal_seconds == 7200.0
    assert (options.max_concurrent_calls, options.auto_complete_messages) == (4, False)
    assert options.prefetch_count == 7, "a value that no setting names stays"


@pytest.mark.parametrize(
    "name",
    ["azurefunctionsjobhost__FUNCTIONTIMEOUT", "AZUREFUNCTIONSJOBHOST__functiontimeout"],
)
def test_the_case_of_a_setting_does_not_matter(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, {"functionTimeout": "00:10:00"}, **{name: "-1"}).function_timeout_seconds is None


@pytest.mark.parametrize(
    "name",
    [
        "AzureFunctionsJobHost__logging__logLevel__default",
        "AzureFunctionsJobHost__functionTimeout__more",
        "AzureFunctionsJobHost__extensions",
        "AzureFunctionsJobHost__extensions__serviceBus",
        "AzureFunctionsJobHost_functionTimeout",
        "functionTimeout",
    ],
)
def test_settings_that_name_no_value_of_this_host_change_nothing(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, {}, **{name: "00:00:07"}) == HostConfig()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("functionTimeout", "soon", "functionTimeout: 'soon' is not a time span"),
        ("extensions__serviceBus__prefetchCount", "many", "prefetchCount: Input should be a valid integer"),
        ("extensions__serviceBus__autoCompleteMessages", "1", "autoCompleteMessages: Input should be a valid boolean"),
    ],
)
def test_a_wrong_value_of_a_setting_is_refused_with_the_setting(
    tmp_path: Path, name: str, value: str, problem: str
) -> None:
    with pytest.raises(AppLoadError, match=re.escape(problem)) as caught:
        load(tmp_path, {}, **{f"AzureFunctionsJobHost__{name}": value})
    assert f"(with AzureFunctionsJobHost__{name}) is wrong" in str(caught.value)


def test_a_host_json_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(AppLoadError, match=r"host\.json is wrong: Invalid JSON"):
        load_host_config(tmp_path)


def test_a_missing_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppLoadError, match="cannot read"):
        load_host_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:01", 1.0),
        ("01:02:03", 3723.0),
        ("00:05", 300.0),
        ("1.00:00:00", 86400.0),
        ("2", 172800.0),
        ("00:00:00.5", 0.5),
    ],
)
def test_a_time_span_is_seconds(text: str, seconds: float) -> None:
    assert parse_timespan(text) == seconds


@pytest.mark.parametrize("text", ["24:00:00", "00:60:00", "00:00:60", "soon", "", "1:2:3:4"])
def test_a_text_that_dotnet_refuses_is_not_a_time_span(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time span"):
        parse_timespan(text)


@pytest.mark.parametrize("text", ["00:00:02", "01:02:03", "1.00:00:00", "00:00:00.500"])
def test_seconds_are_shown_as_a_time_span(text: str) -> None:
    assert format_timespan(parse_timespan(text)) == text
