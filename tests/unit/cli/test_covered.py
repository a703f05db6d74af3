"""Every command runs against a running stack, in `tests/e2e/commands`."""

from tests.e2e.commands.command_lines import known, run_by
from tests.support.wheel import ROOT


def test_every_command_and_option_is_in_a_command_line_of_the_tests_against_a_stack() -> None:
    """A new command, or a new option, needs a line there."""
    files = list((ROOT / "tests" / "e2e" / "commands").glob("test_*.py"))
    assert len(files) > 2
    assert sorted(known() - set[str]().union(*map(run_by, files))) == []
