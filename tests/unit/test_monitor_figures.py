"""The tables of docs/monitor.md are those of its figures."""

import json
from pathlib import Path

from tests.browser.figures import with_tables

_DOCS = Path(__file__).parents[2] / "docs"


def test_the_tables_are_made_of_the_figures() -> None:
    page, figures = (_DOCS / "monitor.md").read_text(), json.loads((_DOCS / "monitor" / "figures.json").read_text())
    assert with_tables(page, figures) == page
    assert "| jobs |" in page


def test_each_view_and_its_memory_are_measured() -> None:
    figures = json.loads((_DOCS / "monitor" / "figures.json").read_text())
    views = {"jobs", "job", "tasks of a batch", "tasks of a cause", "task", "queues", "dead letter", "submit"}
    assert views <= figures["views"].keys()
    assert {name: list(sizes) for name, sizes in figures["memory"].items()} == {
        "jobs": ["1", "10", "60"],
        "job": ["1", "10", "60"],
    }
