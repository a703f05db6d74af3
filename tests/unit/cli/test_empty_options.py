"""An empty option, of a variable that is not set in a script, is a usage error: without it, more would be meant."""

import pytest

from tests.support.http_app import AppTransport
from tests.unit.cli.conftest import Run

JOB_ID = "a" * 32


@pytest.mark.parametrize(
    "arguments",
    [
        *(["bulk", kind, "--status", "failed", "--type", "", "--yes"] for kind in ("cancel", "retry", "delete")),
        *(["bulk", kind, "--type", "hello_world", "--status", "", "--yes"] for kind in ("cancel", "retry", "delete")),
        *(["retry", JOB_ID, option, ""] for option in ("--batch", "--task", "--error")),
        *(["jobs", option, ""] for option in ("--type", "--status", "--text", "--from")),
        *(["tasks", JOB_ID, option, ""] for option in ("--status", "--error", "--batch")),
        *(["submit", "hello_world", "-p", "n=1", option, ""] for option in ("--after", "--idempotency-key", "--json")),
        *([command, ""] for command in ("cancel", "retry", "resume", "show", "watch", "task", "types")),
        ["dead-letters", "--state", ""],
        ["--profile", "", "jobs"],
        ["--url", "", "jobs"],
    ],
    ids=" ".join,
)
def test_an_empty_value_is_a_usage_error(run: Run, transport: AppTransport, arguments: list[str]) -> None:
    ran = run(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert [each for each in transport.requests if each.method != "GET"] == []


def test_what_is_empty_is_named(run: Run) -> None:
    assert "type is empty" in run("bulk", "cancel", "--status", "failed", "--type", "", "--yes").err
    assert "--status: ''" in run("bulk", "cancel", "--type", "hello_world", "--status", "", "--yes").err
