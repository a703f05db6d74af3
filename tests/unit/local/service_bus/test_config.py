import json
from pathlib import Path

import pytest

from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.config import DEFAULT_CONFIG, ConfigError, load_config
from local.service_bus.entities import Tier
from tests.unit.local.service_bus.support import Clock

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


def created(path: Path, tier: Tier = Tier.STANDARD) -> Namespace:
    namespace = Namespace(Clock())
    load_config(path).create_entities(namespace, tier)
    return namespace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Config.json"


def test_a_file_in_microsofts_format_is_read(path: Path) -> None:
    path.write_text(LIKE_THE_ORIGINAL.replace("http://not-a-comment-in-a-string", "second"))
    namespace = created(path)
    assert [counts.name for counts in namespace.counts()] == ["queue.1", "second"]
    assert namespace.find("queue.1").settings == QueueSettings(
        lock_duration_ms=60_000,
        max_delivery_count=3,
        default_ttl_ms=3_600_000,
        dead_letters_expired=False,
        duplicate_window_ms=20_000,
    )
    assert namespace.find("second").settings.duplicate_window_ms is None


def test_slashes_in_a_string_do_not_start_a_comment(path: Path) -> None:
    path.write_text(LIKE_THE_ORIGINAL)
    with pytest.raises(ConfigError, match=r"Queues\.1\.Name: String should match"):
        load_config(path)


def test_the_shipped_file_is_what_the_design_says() -> None:
    expected = QueueSettings(60_000, 10, dead_letters_expired=True, default_ttl_ms=3_600_000)
    namespace = created(DEFAULT_CONFIG)
    names = [counts.name for counts in namespace.counts()]
    assert names == ["sb-jobs", "sb-tasks", "sb-tasks-urgent", "sb-batches", "sb-tasks-long"]
    assert {namespace.find(name).settings for name in names} == {expected}


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"LockDuration": "PT6M"}, "LockDuration: Input should be less than or equal to 5 minutes"),
        ({"LockDuration": "PT0.5S"}, "LockDuration: Input should be greater than or equal to 1 second"),
        ({"MaxDeliveryCount": 0}, "MaxDeliveryCount: Input should be greater"),
        ({"DefaultMessageTimeToLive": "P1D"}, "DefaultMessageTimeToLive: Input should be less"),
        ({"ForwardTo": "elsewhere"}, "ForwardTo: Value error, Forwarding queues are not supported"),
        ({"LockDurationn": "PT1M"}, "LockDurationn: Extra inputs are not permitted"),
    ],
)
def test_an_invalid_property_is_named(path: Path, properties: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(with_queues(path, {"Name": "q", "Properties": properties}))


def test_topics_have_subscriptions_with_properties_of_their_own(path: Path) -> None:
    subscriptions = [
        {"Name": "plain"},
        {"Name": "sessions", "Properties": {"RequiresSession": True, "MaxDeliveryCount": 5}, "Rules": []},
    ]
    properties = {"RequiresDuplicateDetection": True, "MaxSizeInMegabytes": 2}
    namespace = created(
        with_queues(path, Topics=[{"Name": "t", "Properties": properties, "Subscriptions": subscriptions}])
    )
    topic = namespace.find("t").settings
    assert (topic.duplicate_window_ms, topic.max_size_bytes) == (20_000, 2 * 1_048_576)
    assert namespace.find("t/Subscriptions/plain").settings.max_delivery_count == 3
    sessions = namespace.find("T/subscriptions/SESSIONS").settings
    assert (sessions.requires_session, sessions.max_delivery_count) == (True, 5)


def test_rules_of_a_subscription_are_refused(path: Path) -> None:
    rules = [{"Name": "r", "Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": "1=1"}}}]
    topic = {"Name": "t", "Subscriptions": [{"Name": "s", "Rules": rules}]}
    with pytest.raises(ConfigError, match="Rules are not supported by this emulator"):
        load_config(with_queues(path, Topics=[topic]))


def test_the_tier_sets_the_size_of_messages(path: Path) -> None:
    path.write_text(LIKE_THE_ORIGINAL.replace("http://not-a-comment-in-a-string", "second"))
    assert created(path, Tier.STANDARD).find("second").settings.max_message_bytes == 262_144
    assert created(path, Tier.PREMIUM).find("second").settings.max_message_bytes == 1_048_576


def test_a_queue_and_a_topic_cannot_share_a_name(path: Path) -> None:
    with pytest.raises(ConfigError, match="must differ: q"):
        load_config(with_queues(path, {"Name": "q"}, Topics=[{"Name": "Q"}]))


def test_names_that_differ_by_case_only_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="must differ: q"):
        load_config(with_queues(path, {"Name": "q"}, {"Name": "Q"}))


def test_a_file_that_is_not_json_is_refused(path: Path) -> None:
    path.write_text('{"UserConfig": ')
    with pytest.raises(ConfigError, match="is not JSON"):
        load_config(path)
