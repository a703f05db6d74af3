"""The alerts ask for lines that the app writes, and the runbook explains each of them."""

import ast
import re
from functools import cache

import pytest

from engine.repair.sweeper import SweepReport
from local.stack import ROOT
from tests.unit.infra.conftest import INFRA, Deploy

_QUERIES = sorted((INFRA / "queries").glob("*.kql"))
_RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
_APP = ("api", "controllers", "core", "engine", "repositories", "triggers")
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


@cache
def log_lines() -> tuple[str, ...]:
    """The format of each line that the app logs."""
    calls = (
        node
        for folder in _APP
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS
    )
    formats = (call.args[0] for call in calls if call.args)
    return tuple(str(each.value) for each in formats if isinstance(each, ast.Constant))


def _texts(query: str) -> list[str]:
    """The texts that a query looks for in the messages of traces."""
    patterns = (r'Message (?:startswith|contains) "([^"]*)"', r"parse Message with (.*)")
    wanted = re.findall(patterns[0], query)
    for parsed in re.findall(patterns[1], query):
        wanted += re.findall(r'"([^"]*)"', parsed)
    return wanted


@pytest.mark.parametrize("path", _QUERIES, ids=lambda path: path.stem)
def test_a_query_looks_for_lines_that_the_app_writes(path: object) -> None:
    query = (INFRA / "queries" / str(path)).read_text()
    missing = [text for text in _texts(query) if not any(text in line for line in log_lines())]
    assert missing == []
    assert ("AppTraces" not in query) or _texts(query)


def test_a_query_takes_the_values_out_of_their_line() -> None:
    """The texts of a `parse` follow one another in one line, with a value between any two."""
    for path in _QUERIES:
        for parsed in re.findall("parse Message with (.*)", path.read_text()):
            pattern = ".*".join(re.escape(each) for each in re.findall(r'"([^"]*)"', parsed))
            assert any(re.search(pattern, re.sub("%[a-z.0-9]+", "x", line)) for line in log_lines()), parsed


def test_the_kinds_of_repairs_are_those_of_the_sweeper() -> None:
    kinds = re.findall('Message has "([a-z_]+)"', "".join(path.read_text() for path in _QUERIES))
    assert sorted(kinds) == ["batches", "jobs", "notices"]
    assert set(kinds) <= set(SweepReport.__dataclass_fields__)


def test_each_alert_has_a_section_and_each_section_an_alert(deployed: Deploy) -> None:
    made = deployed()
    alerts = [*made.of("Microsoft.Insights/scheduledQueryRules"), *made.of("Microsoft.Insights/metricAlerts")]
    named = {each.name.removeprefix("lockstep-") for each in alerts}
    assert {"stuck-job", "dead-letters", "outbox-age", "error-rate"} <= named
    assert re.findall("^## (.*)$", _RUNBOOK, re.MULTILINE) == [
        *(each.name.removeprefix("lockstep-") for each in made.of("Microsoft.Insights/scheduledQueryRules")),
        *(each.name.removeprefix("lockstep-") for each in made.of("Microsoft.Insights/metricAlerts")),
    ]
    for each in alerts:
        assert each.body["properties"]["description"] == f"docs/runbook.md, {each.name.removeprefix('lockstep-')}"


def test_each_section_says_what_it_means_what_to_ask_and_what_to_do() -> None:
    for section in _RUNBOOK.split("\n## ")[1:]:
        assert section.count("**Means:**") == section.count("**Do:**") == 1
        assert "`SELECT " in section


def test_each_query_is_saved_and_the_runbook_names_it(deployed: Deploy) -> None:
    saved = {
        each.body["properties"]["displayName"].removeprefix("Lockstep: "): each.body["properties"]["body"]
        for each in deployed().of("Microsoft.OperationalInsights/queryPacks/queries")
    }
    assert saved == {path.stem: path.read_text() for path in _QUERIES}


def test_an_alert_fires_on_a_row_and_no_sweep_without_one(deployed: Deploy) -> None:
    for each in deployed().of("Microsoft.Insights/scheduledQueryRules"):
        criterion = each.body["properties"]["criteria"]["allOf"][0]
        fires = (criterion["operator"], criterion["threshold"])
        assert fires == (("LessThan", 1) if each.name == "lockstep-no-sweep" else ("GreaterThan", 0))


def test_dead_letters_of_one_queue_are_not_hidden_by_queues_without_any(deployed: Deploy) -> None:
    """The least value of all queues together is that of the queue with the fewest."""
    alerts = {each.name: each.body["properties"] for each in deployed().of("Microsoft.Insights/metricAlerts")}
    (criterion,) = alerts["lockstep-undrained-dead-letters"]["criteria"]["allOf"]
    assert criterion["timeAggregation"] == "Minimum"
    assert criterion["dimensions"] == [{"name": "EntityName", "operator": "Include", "values": ["*"]}]


def test_the_disk_alert_leaves_time_before_the_server_becomes_read_only(deployed: Deploy) -> None:
    """Azure makes it read-only at 95 %, or with less than 5 GiB free, which is earlier on a small disk."""
    made = deployed()
    size = made.one("Microsoft.DBforPostgreSQL/flexibleServers").body["properties"]["storage"]["storageSizeGB"]
    alerts = {each.name: each.body["properties"] for each in made.of("Microsoft.Insights/metricAlerts")}
    disk = alerts["lockstep-database-disk"]
    assert disk["criteria"]["allOf"][0]["threshold"] < min(95, 100 * (size - 5) / size)
    assert (disk["evaluationFrequency"], disk["windowSize"]) == ("PT5M", "PT15M")
    assert f"on a disk of {size} GB at {100 * (size - 5) // size} %" in _RUNBOOK


def test_a_rule_is_created_before_the_first_line_of_a_log_has_arrived(deployed: Deploy) -> None:
    """Azure would refuse a query of a table that a new workspace does not know yet."""
    rules = deployed().of("Microsoft.Insights/scheduledQueryRules")
    assert {each.body["properties"].get("skipQueryValidation") for each in rules} == {True}


def test_an_answer_that_says_500_is_a_failed_invocation() -> None:
    """The host calls a request successful if its function returned, whatever the answer says."""
    query = (INFRA / "queries" / "error-rate.kql").read_text()
    assert "failed = Success == false or toint(ResultCode) >= 500" in query
    assert "sumif(ItemCount, failed)" in query


def test_alerts_tell_who_is_named(deployed: Deploy) -> None:
    silent, told = deployed(), deployed(alertEmail="operators@example.com")
    for kind in ("scheduledQueryRules", "metricAlerts"):
        for each in silent.of(f"Microsoft.Insights/{kind}"):
            assert each.body["properties"]["actions"] in ({"actionGroups": []}, [])
        for each in told.of(f"Microsoft.Insights/{kind}"):
            assert "actionGroups/ag-" in str(each.body["properties"]["actions"])
