import json
from pathlib import Path
from typing import Any

import pytest

from local.functions_host.errors import AppLoadError
from local.functions_host.host_config import HostConfig, ServiceBusOptions, load_host_config, parse_timespan


def load(directory: Path, config: Any) -> HostConfig:
    (directory / "host.json").write_text(json.dumps(config))
    return load_host_config(directory)


def test_an_empty_host_json_means_the_defaults_of_azure(tmp_path: Path) -> None:
    config = load(tmp_path, {})
    assert config.route_prefix == "api"
    assert config.service_bus == ServiceBusOptions(
        prefetch_count=0,
        auto_complete_messages=True,
        max_concurrent_calls=16,
        max_auto_lock_renewal_seconds=300.0,
        max_message_batch_size=1000,
        min_message_batch_size=1,
        max_batch_wait_seconds=30.0,
    )


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
    assert config.service_bus == ServiceBusOptions(
        prefetch_count=1,
        auto_complete_messages=False,
        max_concurrent_calls=2,
        max_auto_lock_renewal_seconds=600.0,
        max_message_batch_size=100,
        min_message_batch_size=4,
        max_batch_wait_seconds=1.0,
    )


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"extensions": {"serviceBus": {"maxConcurrentCalls": 0}}},
        {"extensions": {"serviceBus": {"maxMessageBatchSize": "many"}}},
        {"extensions": {"serviceBus": {"minMessageBatchSize": 5, "maxMessageBatchSize": 4}}},
        {"extensions": {"serviceBus": {"maxBatchWaitTime": 5}}},
    ],
)
def test_a_wrong_host_json_is_refused(tmp_path: Path, config: Any) -> None:
    with pytest.raises(AppLoadError, match=r"host\.json is wrong"):
        load(tmp_path, config)


def test_a_missing_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppLoadError, match="cannot read"):
        load_host_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:01", 1.0), ("01:02:03", 3723.0), ("1.00:00:00", 86400.0), ("00:00:00.5", 0.5)]
)
def test_a_time_span_is_seconds(text: str, seconds: float) -> None:
    assert parse_timespan(text) == seconds
