"""The app settings that docs/plans.md shows for a deployment of several apps."""

import re

from local.stack import ROOT

TWO_APPS = ("main", "long")
FOUR_APPS = ("http", "jobs", "short", "long")
_BLOCK = re.compile(r"```ini\n# (\w+)\n(.*?)```", re.DOTALL)


def settings_of(role: str) -> dict[str, str]:
    """The settings of an app's block in the page."""
    blocks: dict[str, str] = dict(_BLOCK.findall((ROOT / "docs/plans.md").read_text()))
    return dict(line.split("=", 1) for line in blocks[role].splitlines())
