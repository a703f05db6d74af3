import json
from pathlib import Path

import pytest

from local.service_bus.broker.settings import QueueSettings
from local.service_bus.config import DEFAULT_CONFIG, ConfigError, load_config

LIKE_THE_ORIGINAL = """
{ // a comment
  "UserConfig": {
    "Namespaces": [{
      "Name": "sbemulatorns",
      "Queues": [
        {
          "Name": "queue.1", // another
          "Properties": {
            "DeadLetteringOnMessageExpiration": false,
            "DefaultMessageTimeToLive": "PT1H",
            "DuplicateDetectionHistoryTimeWindow": "PT20S",
            "ForwardDeadLetteredMessagesTo": "",
            "ForwardTo": "",
            "LockDuration": "PT1M",
            "MaxDeliveryCount": 3,
            "RequiresDuplicateDetection": true,
            "RequiresSession": false
          }
        },
        {"Name": "http://not-a-comment-in-a-string"}
      ],
      "Topics": []
    }],
    "Logging": {"Type": "File"}
  }
}
"""


def with_queues(path: Path, *queues: dict[str, object], **namespace: object) -> Path:
    entry = {"Name": "n", "Queues": queues, **namespace}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [entry]}}))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Config.json"


def test_a_file_in_microsofts_format_is_read(path: Path) -> None:
    path.write_text(LIKE_THE_ORIGINAL.replace("http://not-a-comment-in-a-string", "second"))
    queues = load_config(path).queues()
    assert list(queues) == ["queue.1", "second"]
    assert queues["queue.1"] == QueueSettings(
        lock_duration_ms=60_000,
        max_delivery_count=3,
        default_ttl_ms=3_600_000,
        dead_letters_expired=False,
        duplicate_window_ms=20_000,
    )
    assert queues["second"].duplicate_window_ms is None


def test_slashes_in_a_string_begin_no_comment(path: Path) -> None:
    path.write_text(LIKE_THE_ORIGINAL)
    with pytest.raises(ConfigError, match=r"Queues\.1\.Name: String should match"):
        load_config(path)


def test_the_shipped_file_is_what_the_design_says() -> None:
    expected = QueueSettings(60_000, 10, 3_600_000, dead_letters_expired=True, duplicate_window_ms=None)
    assert load_config(DEFAULT_CONFIG).queues() == dict.fromkeys(["sb-jobs", "sb-tasks", "sb-tasks-long"], expected)


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"LockDuration": "PT6M"}, "LockDuration: Input should be less than or equal to 5 minutes"),
        ({"LockDuration": "PT0.5S"}, "LockDuration: Input should be greater than or equal to 1 second"),
        ({"MaxDeliveryCount": 0}, "MaxDeliveryCount: Input should be greater"),
        ({"DefaultMessageTimeToLive": "P1D"}, "DefaultMessageTimeToLive: Input should be less"),
        ({"RequiresSession": True}, "RequiresSession: Value error, Sessions are not supported by this emulator"),
        ({"ForwardTo": "elsewhere"}, "ForwardTo: Value error, Forwarding queues are not supported"),
        ({"LockDurationn": "PT1M"}, "LockDurationn: Extra inputs are not permitted"),
    ],
)
def test_a_property_that_cannot_be_is_named(path: Path, properties: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(with_queues(path, {"Name": "q", "Properties": properties}))


def test_topics_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="Topics are not supported by this emulator"):
        load_config(with_queues(path, Topics=[{"Name": "t"}]))


def test_names_that_differ_by_case_only_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="must differ: q"):
        load_config(with_queues(path, {"Name": "q"}, {"Name": "Q"}))


def test_what_is_no_json_is_refused(path: Path) -> None:
    path.write_text('{"UserConfig": ')
    with pytest.raises(ConfigError, match="is not JSON"):
        load_config(path)
