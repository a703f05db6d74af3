"""Looks for what people with a screen reader or poor sight cannot use, with axe-core."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = Path(__file__).parent / "vendor" / "axe.min.js"


def serious_faults(page: Page, without: str = "no-such-element") -> list[str]:
    """The faults of the page as it is that axe calls serious or critical; not those inside one element."""
    page.evaluate(_AXE.read_text())  # not as a script of the page, whose policy forbids it
    found: dict[str, Any] = page.evaluate(
        "(without) => axe.run({ exclude: [[without]] }, { resultTypes: ['violations'] })", without
    )
    return [
        f"{fault['id']}: {node['target']}: {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]
